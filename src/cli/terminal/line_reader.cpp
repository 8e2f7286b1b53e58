#include "cli/terminal/line_reader.h"

#include <cerrno>

#include <poll.h>
#include <unistd.h>

#include "base/check.h"
#include "cli/interrupt.h"

namespace fdllm::cli {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20;
constexpr int kInterruptMilliseconds = 50;

/// Waits until there is something to read, or the end; false once Ctrl-C was pressed. It looks at
/// the flag from time to time, since the signal may have come before the wait, or to another
/// thread: neither ends a wait.
bool wait_for_input(int fd) {
  while (!interrupted()) {
    pollfd waited{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&waited, 1, kInterruptMilliseconds) > 0) return true;
  }
  return false;
}

}  // namespace

LineReader::Status LineReader::read(std::string& line) {
  while (true) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      line = buffer_.substr(0, end);
      if (line.ends_with('\r')) line.pop_back();
      buffer_.erase(0, end + 1);
      scanned_ = 0;
      return Status::kLine;
    }
    scanned_ = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) {
      fail(ErrorCode::kInvalidArgument, "stdin: a line has more than {} bytes", kMaxLineBytes);
    }
    if (!wait_for_input(fd_)) {
      buffer_.clear();
      scanned_ = 0;
      return Status::kInterrupted;
    }
    char chunk[4096];
    const ssize_t count = ::read(fd_, chunk, sizeof chunk);
    if (count > 0) {
      buffer_.append(chunk, static_cast<std::size_t>(count));
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (buffer_.empty()) return Status::kEnd;
    line = std::move(buffer_);
    buffer_.clear();
    scanned_ = 0;
    return Status::kLine;
  }
}

}  // namespace fdllm::cli
