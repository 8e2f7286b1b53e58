#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fdllm::server {

/// Finds where the head of a request ends, as its bytes come, and refuses at once what no head of
/// HTTP/1.1 has: a line that ends otherwise than with CR LF, control characters, a header that goes
/// on in the next line. What is lenient there is read differently by a proxy in front, which is how
/// requests are smuggled.
class HeadScanner {
 public:
  enum class Verdict : std::uint8_t { kMore, kEnd, kBad };

  /// Looks at the next bytes. `used`: how many of them belong to the head.
  Verdict scan(std::string_view bytes, std::size_t& used);
  /// Whether the first line has begun; empty lines before it are skipped, as RFC 9112 asks.
  bool has_begun() const { return has_begun_; }

 private:
  Verdict end_line();

  std::size_t line_length_ = 0;  ///< bytes of the line so far
  int empty_lines_ = 0;          ///< before the first line
  bool has_begun_ = false;
  bool is_first_line_ = true;
  bool after_cr_ = false;
};

}  // namespace fdllm::server
