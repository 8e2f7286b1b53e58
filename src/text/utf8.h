#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace fdllm {

enum class Utf8Status {
  kValid,
  kInvalid,
  kIncomplete,  ///< a proper beginning of a character, cut off by the end of the text
};

/// What stands at an offset of a text: a character, or the longest part that no valid character
/// could continue (what Unicode calls a maximal subpart).
struct Utf8Unit {
  char32_t value = 0xFFFD;
  std::size_t size = 1;  ///< bytes
  Utf8Status status = Utf8Status::kInvalid;
};

/// Reads the unit at `offset`, which must be below text.size().
Utf8Unit read_utf8(std::string_view text, std::size_t offset);
void append_utf8(std::string& text, char32_t value);

/// Bytes of the character whose first byte is `first`, in text known to be valid.
inline std::size_t utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Unicode's White_Space property.
bool is_white_space(char32_t value);

/// U+FFFD in UTF-8.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace fdllm
