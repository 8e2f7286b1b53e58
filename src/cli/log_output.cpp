#include "cli/log_output.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <string>

#include <poll.h>
#include <unistd.h>

namespace fdllm::cli {
namespace {

// A pipe that is ready takes that many bytes without waiting.
constexpr std::size_t kPiece = 4096;
constexpr int kPatience = 20;  // ms; whoever else logs meanwhile waits too

/// stderr, as far as somebody reads it.
class LogPipe {
 public:
  void write_line(std::string_view line) {
    if (lost_ > 0 && !tell_lost()) {
      ++lost_;
      return;
    }
    // At once, so that lines of several programs don't mix.
    std::string text(line);
    text += '\n';
    if (!write(text)) ++lost_;
  }

 private:
  bool tell_lost() {
    if (!is_ready(0)) return false;
    char text[96];
    const int size = std::snprintf(text, sizeof text,
                                   "fast-dllm: warning: %zu lines of this log were lost\n", lost_);
    // What was lost may have ended in the middle of a line.
    if (!write("\n") || !write({text, static_cast<std::size_t>(size)})) return false;
    lost_ = 0;
    return true;
  }

  bool is_ready(int milliseconds) const {
    pollfd entry = {STDERR_FILENO, POLLOUT, 0};
    return poll(&entry, 1, milliseconds) > 0;
  }

  bool write(std::string_view text) {
    while (!text.empty()) {
      if (!is_ready(lost_ > 0 ? 0 : kPatience)) return false;
      const ssize_t written = ::write(STDERR_FILENO, text.data(), std::min(text.size(), kPiece));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  std::size_t lost_ = 0;  ///< lines
};

}  // namespace

void write_log(std::string_view line) noexcept {
  static std::mutex mutex;
  static LogPipe pipe;
  try {
    const std::lock_guard lock(mutex);
    pipe.write_line(line);
  } catch (...) {
    // There is no memory for the line, or no lock.
  }
}

}  // namespace fdllm::cli
