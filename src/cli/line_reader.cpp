#include "cli/line_reader.h"

#include <cerrno>

#include <unistd.h>

#include "base/check.h"

namespace fdllm::cli {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20;

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
    char chunk[4096];
    const ssize_t count = ::read(fd_, chunk, sizeof chunk);
    if (count > 0) {
      buffer_.append(chunk, static_cast<std::size_t>(count));
      continue;
    }
    if (count < 0 && errno == EINTR) {
      buffer_.clear();
      scanned_ = 0;
      return Status::kInterrupted;
    }
    if (buffer_.empty()) return Status::kEnd;
    line = std::move(buffer_);
    buffer_.clear();
    scanned_ = 0;
    return Status::kLine;
  }
}

}  // namespace fdllm::cli
