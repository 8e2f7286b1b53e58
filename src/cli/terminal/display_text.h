#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm::cli {

/// A character as a terminal shows it.
struct Glyph {
  std::string bytes;  ///< UTF-8, safe to print: never a control character
  int width = 1;      ///< terminal columns: 0 (combining), 1 or 2
  bool newline = false;
  bool blank = false;
};

/// Splits bytes into glyphs. Control characters (so escape sequences of a model can't reach the
/// terminal) and incomplete or invalid UTF-8 become a middle dot, a tab a blank.
std::vector<Glyph> to_glyphs(std::string_view bytes);

/// Bytes at the end of `bytes` that begin a character without ending it: 0 to 3.
std::size_t incomplete_suffix(std::string_view bytes);

/// `text` with control characters but newline and tab replaced by a middle dot, for a terminal.
std::string printable(std::string_view text);

}  // namespace fdllm::cli
