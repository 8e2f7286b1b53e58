#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "fastdllm/engine.h"

#include "cli/terminal/progress_line.h"

namespace fdllm::cli {

/// Shows on stderr how far the answers of one generate() are: before the first step the layers of
/// the first forward, then the tokens that are decided and, of forwards over long canvases, the
/// layers too.
class GenerateProgress {
 public:
  /// `masks`: of each request's canvas at the beginning.
  GenerateProgress(ShowProgress show, std::vector<std::int64_t> masks);

  void on_forward(const ForwardProgress& progress);
  void on_step(const StepEvent& event);
  void on_result(std::size_t request);
  /// Removes the line: before anything else is written to the terminal.
  void clear() { line_.clear(); }

 private:
  void show(const ForwardProgress* forward);
  ProgressText first_forward(const ForwardProgress& forward) const;
  ProgressText answers(const ForwardProgress* forward) const;

  ProgressLine line_;
  std::vector<std::int64_t> masks_;
  std::vector<std::int64_t> committed_;  ///< of them, up to now
  std::vector<bool> ended_;
  std::int64_t tokens_ = 0, forwards_ = 0;
};

}  // namespace fdllm::cli
