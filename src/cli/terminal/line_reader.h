#pragma once
#include <cstdint>
#include <string>

namespace fdllm::cli {

/// Lines of a file descriptor. Unlike std::getline it ends when a signal arrives.
class LineReader {
 public:
  enum class Status : std::uint8_t { kLine, kEnd, kInterrupted };

  explicit LineReader(int fd) : fd_(fd) {}

  /// Reads the next line, without its newline. The last one needs none. Throws kInvalidArgument for
  /// a line of more than 16 MiB.
  Status read(std::string& line);

 private:
  int fd_;
  std::string buffer_;
  std::size_t scanned_ = 0;  ///< bytes of the buffer that hold no newline
};

}  // namespace fdllm::cli
