#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "cli/terminal/canvas_layout.h"
#include "cli/terminal/terminal_region.h"

namespace fdllm::cli {

/// The answer of one request as its events have left it.
class CanvasState {
 public:
  /// `engine` gives the tokens' texts and must outlive the state.
  CanvasState(const Engine& engine, std::int32_t prompt_length, std::int32_t gen_length)
      : engine_(&engine), prompt_length_(prompt_length), cells_(gen_length) {}

  void apply(const StepEvent& event);

  std::span<const CanvasCell> cells() const { return cells_; }
  std::int32_t forwards() const { return forwards_; }
  std::int32_t committed() const { return committed_; }
  std::int32_t masked() const { return masked_; }
  std::int32_t block() const { return block_; }
  /// First position of the answer that is neither committed nor behind the live block.
  std::size_t focus() const;

 private:
  CanvasCell* cell_at(std::int32_t position);

  const Engine* engine_;
  std::int32_t prompt_length_;
  std::vector<CanvasCell> cells_;
  std::int32_t forwards_ = 0, committed_ = 0, masked_ = 0, block_ = 0;
};

/// Shows live on a terminal how the canvases of a batch denoise: one at a time, the first that
/// hasn't ended; the others go on unseen.
class CanvasView {
 public:
  struct Options {
    int fd = 1;
    std::chrono::milliseconds delay{0};  ///< pause after each frame
    Colours colours = Colours::k256;
  };

  CanvasView(const Engine& engine, std::span<const ResolvedRequest> requests, Options options);

  void on_step(const StepEvent& event);
  /// Request `request` is the first that hasn't ended (or the number of requests: none is left).
  /// Removes the view so that its result can be printed; the next event brings it back.
  void show_request(std::size_t request);

  /// Whether it is on the screen.
  bool is_open() const { return region_.is_open(); }
  /// Seconds spent so far on painting and pausing, which are no part of generating.
  double overhead() const { return overhead_; }

 private:
  void paint();
  std::string status(int columns) const;

  Options options_;
  std::vector<CanvasState> states_;
  std::vector<std::int32_t> blocks_;
  std::size_t shown_ = 0;
  TerminalRegion region_;
  double overhead_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace fdllm::cli
