#include "cli/terminal/canvas_layout.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/terminal/display_text.h"
#include "text/unicode.h"

namespace fdllm::cli {
namespace {

using Kind = CanvasCell::Kind;

CanvasCell word(const std::string& bytes, Kind kind = Kind::kCommitted) {
  return {kind, bytes, false, 1};
}

/// A line without its escape sequences.
std::string plain(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string> layout(const std::vector<CanvasCell>& cells, int width) {
  std::vector<std::string> lines;
  for (const CanvasLine& line : layout_canvas(cells, width, Colours::k256)) {
    EXPECT_LE(line.width, width);
    lines.push_back(plain(line.text));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(CanvasLayout, WrapsAtWords) {
  EXPECT_EQ(layout({word("Together"), word(" they"), word(" have"), word(" 44"), word(".")}, 14),
            (Lines{"Together they ", "have 44."}));
  EXPECT_EQ(layout({}, 14), (Lines{""}));
}

TEST(CanvasLayout, BreaksLongWords) {
  EXPECT_EQ(layout({word("abcdefghij")}, 4), (Lines{"abcd", "efgh", "ij"}));
}

TEST(CanvasLayout, MaskedCellsAreBlocks) {
  const CanvasCell masked{};
  EXPECT_EQ(layout({masked, masked, masked}, 5), (Lines{"░░░░", "░░"}));
}

TEST(CanvasLayout, NewlinesEndLines) {
  EXPECT_EQ(layout({word("a\n"), word("b")}, 10), (Lines{"a⏎", "b"}));
  EXPECT_EQ(layout({word("\n\n")}, 10), (Lines{"⏎", "⏎"}));
  EXPECT_EQ(layout({word("a\n", Kind::kProvisional), word("b")}, 10), (Lines{"a⏎b"}));
}

TEST(CanvasLayout, CharactersMaySpanTokens) {
  EXPECT_EQ(layout({word("\xF0\x9F"), word("\x91\x8D!")}, 10), (Lines{"👍!"}));
  EXPECT_EQ(layout({word("\xF0\x9F"), CanvasCell{}}, 10), (Lines{"·░░"}));
  EXPECT_EQ(layout({word("日本語")}, 5), (Lines{"日本", "語"}));
}

TEST(CanvasLayout, EscapeSequencesOfTheModelStayInert) {
  for (const CanvasLine& line :
       layout_canvas(std::vector{word("\x1b[2Jx\x07\xC2\x9By")}, 20, Colours::kNone)) {
    EXPECT_EQ(line.text, "·[2Jx··y");
  }
}

TEST(CanvasLayout, StylesTellTheKindsApart) {
  const auto text = [](Kind kind, Colours colours) {
    CanvasCell cell = word("x", kind);
    cell.confidence = 0.5;
    return layout_canvas(std::vector{cell}, 9, colours)[0].text;
  };
  EXPECT_EQ(text(Kind::kCommitted, Colours::k256), "x");
  EXPECT_EQ(text(Kind::kFresh, Colours::k256), "\x1b[0;1;38;5;16;48;5;114mx\x1b[0m");
  EXPECT_EQ(text(Kind::kProvisional, Colours::k256), "\x1b[0;3;38;5;242mx\x1b[0m");
  for (const Kind kind : {Kind::kMasked, Kind::kProvisional, Kind::kFresh, Kind::kCommitted}) {
    EXPECT_EQ(text(kind, Colours::kNone).find("38;5"), std::string::npos);
  }
}

TEST(CanvasLayout, LinesKnowTheirCells) {
  const auto lines =
      layout_canvas(std::vector{word("one"), word(" two"), word(" three")}, 8, Colours::kNone);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].end_cell, 3u);  // the blank before "three"
  EXPECT_EQ(lines[1].end_cell, 3u);
  EXPECT_EQ(lines[0].first_cell, 0u);
}

TEST(VisibleLines, FollowTheFocus) {
  using Window = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(visible_lines(5, 10, 4), (Window{0, 5}));
  EXPECT_EQ(visible_lines(50, 9, 0), (Window{0, 9}));
  EXPECT_EQ(visible_lines(50, 9, 20), (Window{17, 26}));
  EXPECT_EQ(visible_lines(50, 9, 49), (Window{41, 50}));
  EXPECT_EQ(visible_lines(50, 0, 49), (Window{49, 50}));
}

TEST(DisplayText, Widths) {
  EXPECT_EQ(character_width(U'a'), 1);
  EXPECT_EQ(character_width(U'é'), 1);
  EXPECT_EQ(character_width(U'漢'), 2);
  EXPECT_EQ(character_width(U'😀'), 2);
  EXPECT_EQ(character_width(U'\u0301'), 0);
  EXPECT_EQ(character_width(U'░'), 1);
  // Scripts and pictures beyond those in common use.
  EXPECT_EQ(character_width(U'\U00011A01'), 0);  // a Zanabazar vowel sign
  EXPECT_EQ(character_width(U'\U0001FAE0'), 2);
  const auto glyphs = to_glyphs("e\u0301x");
  ASSERT_EQ(glyphs.size(), 2u);
  EXPECT_EQ(glyphs[0].bytes, "e\u0301");
}

TEST(DisplayText, IncompleteSuffix) {
  EXPECT_EQ(incomplete_suffix(""), 0u);
  EXPECT_EQ(incomplete_suffix("abc"), 0u);
  EXPECT_EQ(incomplete_suffix("a\xC3"), 1u);
  EXPECT_EQ(incomplete_suffix("a\xF0\x9F\x91"), 3u);
  EXPECT_EQ(incomplete_suffix("a\xC3\xA9"), 0u);
  EXPECT_EQ(incomplete_suffix("a\x91"), 0u);
}

TEST(DisplayText, Printable) {
  EXPECT_EQ(printable("a\nb\tc"), "a\nb\tc");
  EXPECT_EQ(printable("\x1b]0;x\x07"), "·]0;x·");
  EXPECT_EQ(printable("\xFFz\u202Ez"), "·zz");
}

}  // namespace
}  // namespace fdllm::cli
