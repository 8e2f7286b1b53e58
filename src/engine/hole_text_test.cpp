#include <gtest/gtest.h>

#include "fastdllm/infill.h"

namespace fdllm {
namespace {

using Lengths = std::vector<std::vector<std::int32_t>>;

void expect_refused(std::string_view text, std::string_view word) {
  try {
    parse_hole_text(text, "--text");
    FAIL() << "accepted " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(std::string_view(error.what()).starts_with("--text: ")) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
  }
}

TEST(HoleText, IsSplitAtItsHoles) {
  EXPECT_EQ(parse_hole_text("The <|hole:8|><|hole:2-6|> mat.", "t"),
            (std::vector<InfillPart>{{"The "}, {"", 8, 8}, {"", 2, 6}, {" mat."}}));
  EXPECT_EQ(parse_hole_text("<|hole:1|>", "t"), (std::vector<InfillPart>{{"", 1, 1}}));
  // What only resembles a hole is text.
  EXPECT_EQ(parse_hole_text("<|hole|> <|hole:3|>", "t"),
            (std::vector<InfillPart>{{"<|hole|> "}, {"", 3, 3}}));
}

TEST(HoleText, RefusesBadHolesAndNone) {
  for (const char* bad : {"<|hole:|>", "<|hole:0|>", "<|hole:-3|>", "<|hole:x|>", "<|hole:3",
                          "<|hole:", "<|hole:3 |>", "<|hole:6-2|>", "<|hole:2-|>", "<|hole:2-3-4|>",
                          "<|hole:99999999999|>", "<|hole:1-2000000|>"}) {
    expect_refused(bad, "length");
  }
  expect_refused("", "at least one hole");
  expect_refused("no hole", "at least one hole");
}

TEST(Hole, IsALengthOrTwo) {
  EXPECT_EQ(parse_hole("8", "t"), (InfillPart{"", 8, 8}));
  EXPECT_EQ(parse_hole("2-6", "t"), (InfillPart{"", 2, 6}));
  for (const char* bad : {"", "0", "-1", "6-2", "2-", "2-6 ", " 2", "2-6|>", "x", "1048577"}) {
    EXPECT_THROW(parse_hole(bad, "t"), Error) << bad;
  }
}

TEST(HoleLengths, AreAllTogether) {
  const auto parts = parse_hole_text("<|hole:1-2|>a<|hole:3|>b<|hole:4-5|>", "t");
  EXPECT_EQ(hole_lengths(parts, 4, "t"), (Lengths{{1, 3, 4}, {2, 3, 4}, {1, 3, 5}, {2, 3, 5}}));
  EXPECT_THROW(hole_lengths(parts, 3, "t"), Error);
  EXPECT_THROW(hole_lengths(parse_hole_text("<|hole:1-1048576|><|hole:1-1048576|>", "t"), 64, "t"),
               Error);
}

}  // namespace
}  // namespace fdllm
