#pragma once
#include <chrono>
#include <cstdint>

#include "fastdllm/progress.h"

#include "cli/terminal/progress_line.h"
#include "eval/run.h"

namespace fdllm::cli {

/// How far an evaluation has come, on stderr: one line that is rewritten on a terminal, else a
/// plain line now and then.
class EvalProgress {
 public:
  /// `done` of `total` items were answered by earlier sessions.
  EvalProgress(ShowProgress show, std::int64_t total, std::int64_t done);

  void add(const eval::ItemRecord& record);
  void forward(const ForwardProgress& progress);
  /// Removes the line from the terminal.
  void clear() { shown_.clear(); }

 private:
  ProgressText text() const;
  ProgressText text_without_bar() const;

  ShowProgress show_;
  ProgressLine shown_;
  std::int64_t total_, done_;
  std::int64_t new_ = 0, correct_ = 0, tokens_ = 0;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace fdllm::cli
