#pragma once
#include <chrono>

#include "cli/terminal/progress_text.h"
#include "cli/terminal/show_progress.h"
#include "cli/terminal/terminal_region.h"

namespace fdllm::cli {

/// A line on stderr that is rewritten in place, where that is a terminal that can. What ends at
/// once is never shown, so nothing flashes. Not thread-safe; only one is shown at a time.
class ProgressLine {
 public:
  explicit ProgressLine(ShowProgress show);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  /// False: show() does nothing.
  bool is_live() const { return live_; }
  /// Whether show() would rewrite the line now: not in the first moments, and ten times a second at
  /// most. For those to whom making the text costs something.
  bool is_due() const;
  void show(const ProgressText& progress);
  /// At once: for what is known to take long.
  void show_now(const ProgressText& progress);
  /// Removes the line: before anything else is written to the terminal.
  void clear();
  /// Seconds since it was made.
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool live_;
  Clock::time_point begin_, next_;
  TerminalRegion region_;
};

/// Removes the line that is shown, if any, from whichever thread wants to write to stderr.
void clear_progress();

}  // namespace fdllm::cli
