#include "cli/display_text.h"

#include <algorithm>
#include <span>

namespace fdllm::cli {
namespace {

constexpr const char* kDot = "·";

struct CharacterRange {
  char32_t first, last;
};

// Non-spacing marks and format characters of the scripts in common use.
constexpr CharacterRange kZeroWidth[] = {
    {0x0300, 0x036F},   {0x0483, 0x0489},   {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x0670, 0x0670},   {0x06D6, 0x06DC},   {0x06DF, 0x06E4}, {0x093C, 0x093C}, {0x0941, 0x0948},
    {0x094D, 0x094D},   {0x0E31, 0x0E31},   {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF},   {0x200B, 0x200F},   {0x202A, 0x202E}, {0x2060, 0x206F}, {0x20D0, 0x20F0},
    {0x3099, 0x309A},   {0xFE00, 0xFE0F},   {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0x1F3FB, 0x1F3FF},
    {0xE0001, 0xE007F}, {0xE0100, 0xE01EF},
};

// East Asian Width W and F, and emoji presentation.
constexpr CharacterRange kDoubleWidth[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
    {0x23F0, 0x23F0},   {0x23F3, 0x23F3},   {0x25FD, 0x25FE},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267F, 0x267F},   {0x2693, 0x2693},   {0x26A1, 0x26A1},
    {0x26AA, 0x26AB},   {0x26BD, 0x26BE},   {0x26C4, 0x26C5},   {0x26CE, 0x26CE},
    {0x26D4, 0x26D4},   {0x26EA, 0x26EA},   {0x26F2, 0x26F3},   {0x26F5, 0x26F5},
    {0x26FA, 0x26FA},   {0x26FD, 0x26FD},   {0x2705, 0x2705},   {0x270A, 0x270B},
    {0x2728, 0x2728},   {0x274C, 0x274C},   {0x274E, 0x274E},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27B0, 0x27B0},   {0x27BF, 0x27BF},
    {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},   {0x2B55, 0x2B55},   {0x2E80, 0x303E},
    {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},
    {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF},
    {0x1F18E, 0x1F18E}, {0x1F191, 0x1F19A}, {0x1F200, 0x1F320}, {0x1F32D, 0x1F335},
    {0x1F337, 0x1F37C}, {0x1F37E, 0x1F393}, {0x1F3A0, 0x1F3CA}, {0x1F3CF, 0x1F3D3},
    {0x1F3E0, 0x1F3F0}, {0x1F3F4, 0x1F3F4}, {0x1F3F8, 0x1F43E}, {0x1F440, 0x1F440},
    {0x1F442, 0x1F4FC}, {0x1F4FF, 0x1F53D}, {0x1F54B, 0x1F54E}, {0x1F550, 0x1F567},
    {0x1F57A, 0x1F57A}, {0x1F595, 0x1F596}, {0x1F5A4, 0x1F5A4}, {0x1F5FB, 0x1F64F},
    {0x1F680, 0x1F6C5}, {0x1F6CC, 0x1F6CC}, {0x1F6D0, 0x1F6D2}, {0x1F6D5, 0x1F6D7},
    {0x1F6EB, 0x1F6EC}, {0x1F6F4, 0x1F6FC}, {0x1F7E0, 0x1F7EB}, {0x1F90C, 0x1F9FF},
    {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD},
};

bool in_ranges(std::span<const CharacterRange> ranges, char32_t character) {
  const auto after = std::ranges::upper_bound(ranges, character, {}, &CharacterRange::first);
  return after != ranges.begin() && character <= std::prev(after)->last;
}

bool is_control(char32_t character) {
  return character < 0x20 || (character >= 0x7F && character < 0xA0);
}

/// Characters that reorder or hide what surrounds them; shown as nothing at all.
bool is_bidi_control(char32_t character) {
  return (character >= 0x202A && character <= 0x202E) ||
         (character >= 0x2066 && character <= 0x2069);
}

struct Decoded {
  char32_t character = 0;
  std::size_t length = 1;
  bool valid = false;
  bool incomplete = false;  ///< the text ends within the character
};

Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1, true, false};
  const std::size_t length = first >= 0xF0 && first < 0xF5   ? 4
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xC2 && first < 0xE0 ? 2
                                                             : 0;
  if (length == 0) return {};
  char32_t character = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {0, i, false, true};
    if ((byte(i) & 0xC0u) != 0x80u) return {0, i, false, false};
    character = character << 6 | (byte(i) & 0x3Fu);
    // Overlong forms, surrogates and values past the last plane show in the second byte.
    if (i == 1) {
      const bool bad = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0) ||
                       (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90);
      if (bad) return {};
    }
  }
  return {character, length, true, false};
}

}  // namespace

int character_width(char32_t character) {
  if (character < 0x300) return 1;
  if (in_ranges(kZeroWidth, character)) return 0;
  return in_ranges(kDoubleWidth, character) ? 2 : 1;
}

std::vector<Glyph> to_glyphs(std::string_view bytes) {
  std::vector<Glyph> glyphs;
  while (!bytes.empty()) {
    const Decoded decoded = decode(bytes);
    const std::string_view piece = bytes.substr(0, decoded.length);
    bytes.remove_prefix(decoded.length);
    if (decoded.valid && is_bidi_control(decoded.character)) continue;
    if (decoded.valid && decoded.character == '\n') {
      glyphs.push_back({"⏎", 1, true, false});
    } else if (decoded.valid && (decoded.character == '\t' || decoded.character == ' ')) {
      glyphs.push_back({" ", 1, false, true});
    } else if (!decoded.valid || is_control(decoded.character)) {
      glyphs.push_back({kDot, 1, false, false});
    } else {
      const int width = character_width(decoded.character);
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
    if (decode(bytes.substr(bytes.size() - length)).incomplete) return length;
  }
  return 0;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Decoded decoded = decode(text);
    const bool shown = decoded.valid && (!is_control(decoded.character) ||
                                         decoded.character == '\n' || decoded.character == '\t');
    if (!shown) {
      result += kDot;
    } else if (!is_bidi_control(decoded.character)) {
      result += text.substr(0, decoded.length);
    }
    text.remove_prefix(decoded.length);
  }
  return result;
}

}  // namespace fdllm::cli
