#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm::jinja {

enum class TokenKind {
  kData,         ///< text outside tags, white-space control applied
  kOutputBegin,  ///< {{
  kOutputEnd,    ///< }}
  kTagBegin,     ///< {%
  kTagEnd,       ///< %}
  kName,
  kString,   ///< text: the value, escapes read
  kInteger,  ///< text: decimal digits
  kFloat,    ///< text: as strtod reads it
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

/// Splits a template (valid UTF-8) with trim_blocks and lstrip_blocks on, as transformers sets
/// them: the newline after a tag and the blanks before a tag that opens its line are dropped.
/// What stands between the tags raw and endraw is text.
/// Throws kCorruptFile or kUnsupported with the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace fdllm::jinja
