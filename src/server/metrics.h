#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fastdllm/service.h"

namespace fdllm::server {

/// Counts of values by upper bound, as Prometheus wants them. Thread-safe.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);
  /// Appends the lines of the metric called `name`.
  void write(std::string& text, std::string_view name, std::string_view help) const;

 private:
  std::vector<double> bounds_;
  mutable std::mutex mutex_;
  std::vector<std::uint64_t> counts_;  ///< one for each bound, and one for what is above
  double sum_ = 0;
};

/// What the server counts, in Prometheus's text format. Thread-safe.
class Metrics {
 public:
  Metrics();

  void forward(const ForwardInfo& info);
  void step(double seconds_since_last);
  void first_token(double seconds);
  void result(const GenerateResult& result) noexcept;
  void refused(int status);
  void http(int status, double seconds);

  std::string text(const ServiceState& state) const;

 private:
  std::atomic<std::uint64_t> forwards_{0}, useful_tokens_{0}, prompt_tokens_{0};
  Histogram rows_, requests_, forward_seconds_, step_seconds_, first_token_seconds_,
      request_seconds_, http_seconds_;
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> statuses_, refusals_;
  std::array<std::uint64_t, kFinishReasons.size()> finishes_{};
};

}  // namespace fdllm::server
