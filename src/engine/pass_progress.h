#pragma once
#include <chrono>
#include <cstdint>

namespace fdllm {

/// When those who listen are told about a forward that is under way, and after how many layers it
/// is worth looking at the clock.
class PassProgress {
 public:
  using Clock = std::chrono::steady_clock;

  explicit PassProgress(double interval_seconds) : interval_(interval_seconds) {}

  /// A forward begins.
  void start(Clock::time_point now) {
    begin_ = last_ = now;
    told_ = false;
  }
  /// Layers to run before asking is_due(), of `left`: one at first, then as many as fill the
  /// interval.
  std::int32_t layers_at_once(std::int32_t left) const;
  /// `layers` were run in `seconds`.
  void note(std::int32_t layers, double seconds) { layer_seconds_ = seconds / layers; }
  /// Time to tell. The end of a forward (`left` is 0) is told where anything was.
  bool is_due(Clock::time_point now, std::int32_t left);
  double seconds(Clock::time_point now) const {
    return std::chrono::duration<double>(now - begin_).count();
  }

 private:
  double interval_;
  Clock::time_point begin_, last_;
  bool told_ = false;
  double layer_seconds_ = 0;  ///< of the layers that were run last
};

}  // namespace fdllm
