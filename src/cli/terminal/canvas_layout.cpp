#include "cli/terminal/canvas_layout.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/terminal/display_text.h"

namespace fdllm::cli {
namespace {

using Kind = CanvasCell::Kind;

constexpr const char* kMaskedGlyph = "░";
constexpr int kMaskedColumns = 2;  // about half a word: the canvas grows little as it fills

struct StyledGlyph {
  Glyph glyph;
  std::size_t cell = 0;
  std::string style;  ///< SGR parameters; empty: normal
  bool may_break_before = false;
};

std::string style_of(const CanvasCell& cell, Colours colours) {
  const bool coloured = colours == Colours::k256;
  switch (cell.kind) {
    case Kind::kMasked:
      return coloured ? "38;5;239" : "2";
    case Kind::kProvisional: {
      if (!coloured) return "2";
      // The grey ramp of the 256 colours, from barely visible to nearly the text's own.
      const double confidence = std::clamp(cell.confidence, 0.0, 1.0);
      return fmt::format("3;38;5;{}", 237 + static_cast<int>(confidence * 10));
    }
    case Kind::kFresh:
      return coloured ? "1;38;5;16;48;5;114" : "1;7";
    case Kind::kCommitted:
      break;
  }
  return cell.special ? (coloured ? "38;5;242" : "2") : "";
}

/// Tokens may hold parts of characters: what a committed token lacks at its end is taken from the
/// next one where that is committed too.
std::vector<StyledGlyph> to_styled(std::span<const CanvasCell> cells, Colours colours) {
  std::vector<StyledGlyph> result;
  std::string carried;
  const auto add = [&](const char* bytes, std::size_t cell, const std::string& style,
                       bool may_break) {
    StyledGlyph& added = result.emplace_back();
    added.glyph.bytes = bytes;
    added.cell = cell;
    added.style = style;
    added.may_break_before = may_break;
  };
  const auto is_text = [&](std::size_t i) {
    return i < cells.size() && !cells[i].special &&
           (cells[i].kind == Kind::kFresh || cells[i].kind == Kind::kCommitted);
  };
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const CanvasCell& cell = cells[i];
    const std::string style = style_of(cell, colours);
    if (cell.kind == Kind::kMasked) {
      for (int column = 0; column < kMaskedColumns; ++column) {
        add(kMaskedGlyph, i, style, column == 0);
      }
      continue;
    }
    if (cell.special) {
      add("∎", i, style, true);
      continue;
    }
    std::string bytes = carried + cell.bytes;
    carried.clear();
    if (is_text(i) && is_text(i + 1)) {
      const std::size_t cut = incomplete_suffix(bytes);
      carried = bytes.substr(bytes.size() - cut);
      bytes.resize(bytes.size() - cut);
    }
    // A provisional guess must not tear the lines apart as it comes and goes.
    const bool provisional = cell.kind == Kind::kProvisional;
    bool first = provisional;
    for (Glyph& glyph : to_glyphs(bytes)) {
      if (provisional) glyph.newline = false;
      // Characters of two columns are (nearly all) of scripts that break anywhere.
      const bool may_break = first || glyph.width == 2;
      first = false;
      result.push_back({std::move(glyph), i, style, may_break});
    }
  }
  return result;
}

class LineBuilder {
 public:
  explicit LineBuilder(int width) : width_(width) {}

  void add_word(std::span<const StyledGlyph> word) {
    int columns = 0;
    for (const StyledGlyph& glyph : word) columns += glyph.glyph.width;
    if (line_.width > 0 && line_.width + columns > width_) end_line();
    for (const StyledGlyph& glyph : word) {
      if (line_.width + glyph.glyph.width > width_) end_line();
      append(glyph);
    }
  }

  void add_blank(const StyledGlyph& blank) {
    // A blank where a line breaks is the break.
    if (line_.width + 1 > width_) {
      end_line();
    } else {
      append(blank);
    }
  }

  void end_line() {
    set_style("");
    lines_.push_back(std::move(line_));
    line_ = {};
    line_.first_cell = line_.end_cell = lines_.back().end_cell;
  }

  std::vector<CanvasLine> finish() {
    if (line_.width > 0 || lines_.empty()) end_line();
    return std::move(lines_);
  }

  void append(const StyledGlyph& glyph) {
    set_style(glyph.style);
    line_.text += glyph.glyph.bytes;
    line_.width += glyph.glyph.width;
    line_.end_cell = std::max(line_.end_cell, glyph.cell + 1);
  }

 private:
  void set_style(const std::string& style) {
    if (style == style_) return;
    line_.text += style.empty() ? "\x1b[0m" : fmt::format("\x1b[0;{}m", style);
    style_ = style;
  }

  int width_;
  std::string style_;
  CanvasLine line_;
  std::vector<CanvasLine> lines_;
};

}  // namespace

std::vector<CanvasLine> layout_canvas(std::span<const CanvasCell> cells, int width,
                                      Colours colours) {
  const std::vector<StyledGlyph> glyphs = to_styled(cells, colours);
  LineBuilder lines(std::max(width, 4));
  const std::span<const StyledGlyph> all(glyphs);
  std::size_t at = 0;
  while (at < glyphs.size()) {
    const StyledGlyph& glyph = glyphs[at];
    if (glyph.glyph.newline) {
      lines.add_word(all.subspan(at, 1));
      lines.end_line();
      ++at;
    } else if (glyph.glyph.blank) {
      lines.add_blank(glyph);
      ++at;
    } else {
      std::size_t end = at + 1;
      while (end < glyphs.size() && !glyphs[end].glyph.newline && !glyphs[end].glyph.blank &&
             !glyphs[end].may_break_before) {
        ++end;
      }
      lines.add_word(all.subspan(at, end - at));
      at = end;
    }
  }
  return lines.finish();
}

std::pair<std::size_t, std::size_t> visible_lines(std::size_t count, std::size_t height,
                                                  std::size_t focus) {
  height = std::max<std::size_t>(height, 1);
  if (count <= height) return {0, count};
  // A third above the focus: what was just finished stays in sight.
  const std::size_t above = std::min(focus, height / 3);
  const std::size_t first = std::min(focus - above, count - height);
  return {first, first + height};
}

}  // namespace fdllm::cli
