#pragma once
#include <cstdint>
#include <string>
#include <string_view>

/// Cases and classes of characters, as Python's str has them; text is UTF-8.
namespace fdllm::jinja {

/// Python's str.isspace, which differs from Unicode's White_Space in U+001C..U+001F.
bool is_python_space(char32_t value);

/// Unicode's full mappings as far as one character becomes at most two, final sigma included.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// str.capitalize, str.title, str.swapcase.
std::string capitalize(std::string_view text);
std::string title_case(std::string_view text);
std::string swap_case(std::string_view text);

enum class TextClass : std::uint8_t {
  kAlpha,
  kDigit,
  kDecimal,
  kNumeric,
  kAlnum,
  kSpace,
  kLower,
  kUpper,
  kTitle,
  kIdentifier,
  kAscii,
  kPrintable,
};
/// str.isalpha and its siblings.
bool is_text_of(std::string_view text, TextClass kind);

/// Whether repr() prints the character as it is.
bool is_printable(char32_t value);

}  // namespace fdllm::jinja
