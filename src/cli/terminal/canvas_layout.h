#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace fdllm::cli {

/// What a position of the answer looks like.
struct CanvasCell {
  enum class Kind : std::uint8_t {
    kMasked,       ///< nothing known
    kProvisional,  ///< scored, but left masked: `bytes` may still change
    kFresh,        ///< committed by the latest forward
    kCommitted,
  };
  Kind kind = Kind::kMasked;
  std::string bytes;  ///< of its token, which may be part of a character
  bool special = false;
  double confidence = 0;  ///< of a provisional token
};

enum class Colours : std::uint8_t { kNone, k256 };

/// A line of the laid-out canvas.
struct CanvasLine {
  std::string text;  ///< with escape sequences for style; at most `width` columns
  int width = 0;     ///< columns
  /// Cells that begin in it: [first_cell, end_cell).
  std::size_t first_cell = 0, end_cell = 0;
};

/// Word-wraps cells into lines of at most `width` columns (at least 4). Pure.
std::vector<CanvasLine> layout_canvas(std::span<const CanvasCell> cells, int width,
                                      Colours colours);

/// Lines [first, end) to show of `count` where only `height` fit: all, or those around `focus`.
std::pair<std::size_t, std::size_t> visible_lines(std::size_t count, std::size_t height,
                                                  std::size_t focus);

}  // namespace fdllm::cli
