#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm {

/// A piece of a text with holes: given text, or a hole of a length, or of one between two bounds.
struct TextPart {
  std::string text;        ///< empty for a hole
  std::int32_t least = 0;  ///< tokens of a hole; 0: it is text
  std::int32_t most = 0;

  bool is_hole() const { return most > 0; }
  friend bool operator==(const TextPart&, const TextPart&) = default;
};

/// Tokens that a hole may have at most, whatever the model.
inline constexpr std::int32_t kMaxHole = 1 << 20;
/// Canvases that one text may stand for: the lengths of its bounded holes.
inline constexpr std::size_t kMaxCanvases = 64;

/// Reads "The <|hole:8|> sat on <|hole:2-6|>.": a hole has a number of tokens, or a least and a
/// greatest one. Throws kInvalidArgument naming `where`; a text without holes is one.
std::vector<TextPart> parse_hole_text(std::string_view text, std::string_view where);

/// Reads the length of a hole alone: "8" or "2-6".
TextPart parse_hole(std::string_view length, std::string_view where);

/// The lengths that the holes may have together: one list a canvas, of one length a hole, shorter
/// ones first. Throws kInvalidArgument naming `where` for more than `limit`.
std::vector<std::vector<std::int32_t>> hole_lengths(const std::vector<TextPart>& parts,
                                                    std::size_t limit, std::string_view where);

}  // namespace fdllm
