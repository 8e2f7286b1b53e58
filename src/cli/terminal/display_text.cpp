#include "cli/terminal/display_text.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/unicode.h"

namespace fdllm::cli {
namespace {

constexpr const char* kDot = "·";

bool is_control(char32_t character) {
  return character < 0x20 || (character >= 0x7F && character < 0xA0);
}

/// Characters that reorder or hide what surrounds them; shown as nothing at all.
bool is_bidi_control(char32_t character) {
  return (character >= 0x202A && character <= 0x202E) ||
         (character >= 0x2066 && character <= 0x2069);
}

/// The character of a unit; a control character where there is none.
char32_t character_of(const Utf8Unit& unit) {
  return unit.status == Utf8Status::kValid ? unit.value : U'\0';
}

}  // namespace

std::vector<Glyph> to_glyphs(std::string_view bytes) {
  std::vector<Glyph> glyphs;
  while (!bytes.empty()) {
    const Utf8Unit unit = read_utf8(bytes, 0);
    const char32_t character = character_of(unit);
    const std::string_view piece = bytes.substr(0, unit.size);
    bytes.remove_prefix(unit.size);
    if (is_bidi_control(character)) continue;
    if (character == '\n') {
      glyphs.push_back({"⏎", 1, true, false});
    } else if (character == '\t' || character == ' ') {
      glyphs.push_back({" ", 1, false, true});
    } else if (is_control(character)) {
      glyphs.push_back({kDot, 1, false, false});
    } else {
      const int width = character_width(character);
      // A combining mark belongs to the glyph before it.
      if (width == 0 && !glyphs.empty() && !glyphs.back().newline) {
        glyphs.back().bytes += piece;
      } else {
        glyphs.push_back({std::string(piece), width, false, false});
      }
    }
  }
  return glyphs;
}

std::size_t incomplete_suffix(std::string_view bytes) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(3, bytes.size()); ++length) {
    if (read_utf8(bytes, bytes.size() - length).status == Utf8Status::kIncomplete) return length;
  }
  return 0;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Utf8Unit unit = read_utf8(text, 0);
    const char32_t character = character_of(unit);
    if (is_control(character) && character != '\n' && character != '\t') {
      result += kDot;
    } else if (!is_bidi_control(character)) {
      result += text.substr(0, unit.size);
    }
    text.remove_prefix(unit.size);
  }
  return result;
}

}  // namespace fdllm::cli
