#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "eval/run.h"

namespace fdllm::cli {

/// How far an evaluation has come, on stderr: one line that is rewritten on a terminal, else a
/// plain line now and then.
class EvalProgress {
 public:
  /// `done` of `total` items were answered by earlier sessions.
  EvalProgress(std::int64_t total, std::int64_t done);
  ~EvalProgress() { clear(); }
  EvalProgress(const EvalProgress&) = delete;
  EvalProgress& operator=(const EvalProgress&) = delete;

  void add(const eval::ItemRecord& record);
  /// Removes the line from the terminal.
  void clear();

 private:
  std::string line(double elapsed) const;

  bool terminal_;
  std::int64_t total_, done_;
  std::int64_t new_ = 0, scored_ = 0, correct_ = 0, tokens_ = 0;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_, next_;
};

/// "1:02:03", "2:03"
std::string duration_text(double seconds);

}  // namespace fdllm::cli
