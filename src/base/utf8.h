#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fdllm {

enum class Utf8Status : std::uint8_t {
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

/// Whether all of the bytes are characters.
bool is_valid_utf8(std::string_view bytes);
/// The bytes with each invalid part replaced by U+FFFD, as Python does.
std::string to_valid_utf8(std::string_view bytes);
/// Characters (code points) of a text; each invalid part counts as the U+FFFD that it is shown as.
std::size_t count_characters(std::string_view text);

/// Bytes of the character whose first byte is `first`, in text known to be valid.
inline std::size_t utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Where the character begins that the byte `at` is part of, in text known to be valid; its end is
/// a beginning, too.
inline std::size_t utf8_start(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U)
    --at;
  return at;
}

/// U+FFFD in UTF-8.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace fdllm
