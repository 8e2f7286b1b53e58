#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm::cli {

/// A piece of a text with holes: given text, or a hole of a length, or of one between two bounds.
struct TextPart {
  std::string text;        ///< empty for a hole
  std::int32_t least = 0;  ///< tokens of a hole; 0: it is text
  std::int32_t most = 0;

  bool is_hole() const { return most > 0; }
  friend bool operator==(const TextPart&, const TextPart&) = default;
};

/// Reads "The <|hole:8|> sat on <|hole:2-6|>.": holes are written as the server's /v1/infill takes
/// them, or with a least and a greatest number of tokens. Throws kInvalidArgument naming `where`;
/// a text without holes is one.
std::vector<TextPart> parse_hole_text(std::string_view text, std::string_view where);

/// The lengths that the holes may have together: one list a canvas, of one length a hole, shorter
/// ones first. Throws kInvalidArgument naming `where` for more than `limit`.
std::vector<std::vector<std::int32_t>> hole_lengths(const std::vector<TextPart>& parts,
                                                    std::size_t limit, std::string_view where);

}  // namespace fdllm::cli
