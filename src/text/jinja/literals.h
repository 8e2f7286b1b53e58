#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "text/jinja/lexer.h"

namespace fdllm::jinja {

/// A literal of an expression, and where it ends in the source.
struct Literal {
  TokenKind kind;
  std::string text;  ///< as Token::text
  std::size_t end;
};

/// The number that begins with the digit at `start`. Throws kCorruptFile or kUnsupported with the
/// line.
Literal read_number(std::string_view source, std::size_t start, int line);
/// The string whose opening quote is at `start`, with Python's escapes read. Throws as
/// read_number().
Literal read_string(std::string_view source, std::size_t start, int line);

}  // namespace fdllm::jinja
