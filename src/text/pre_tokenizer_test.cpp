#include "text/pre_tokenizer.h"

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "text/added_tokens.h"
#include "text/regex_rewrite.h"

namespace fdllm {
namespace {

std::vector<std::string> split(std::string_view text, PreTokenizerStep step) {
  std::vector<PreTokenizerStep> steps;
  steps.push_back(std::move(step));
  const PreTokenizer pre_tokenizer(std::move(steps), "test");
  const Pieces pieces = pre_tokenizer.split(text);
  return {pieces.views.begin(), pieces.views.end()};
}

std::vector<std::string> split_at(std::string_view pattern, SplitBehavior behavior,
                                  bool invert = false, std::string_view text = "the-final--cut-") {
  return split(text, SplitStep{Regex(pattern, "test"), behavior, invert});
}

using Parts = std::vector<std::string>;

TEST(PreTokenizer, SplitBehaviors) {
  EXPECT_EQ(split_at("-", SplitBehavior::kRemoved), (Parts{"the", "final", "cut"}));
  EXPECT_EQ(split_at("-", SplitBehavior::kIsolated),
            (Parts{"the", "-", "final", "-", "-", "cut", "-"}));
  EXPECT_EQ(split_at("-", SplitBehavior::kMergedWithPrevious),
            (Parts{"the-", "final-", "-", "cut-"}));
  EXPECT_EQ(split_at("-", SplitBehavior::kMergedWithNext),
            (Parts{"the", "-final", "-", "-cut", "-"}));
  EXPECT_EQ(split_at("-", SplitBehavior::kContiguous),
            (Parts{"the", "-", "final", "--", "cut", "-"}));
}

TEST(PreTokenizer, InvertSwapsMatchesAndTheRest) {
  EXPECT_EQ(split_at("-", SplitBehavior::kRemoved, true), (Parts{"-", "-", "-", "-"}));
  EXPECT_EQ(split_at("[a-z]+", SplitBehavior::kRemoved, true), (Parts{"the", "final", "cut"}));
}

TEST(PreTokenizer, EmptyMatchesNeitherHangNorMakePieces) {
  EXPECT_EQ(split_at("x*", SplitBehavior::kIsolated, false, "axé"), (Parts{"a", "x", "é"}));
  EXPECT_EQ(split_at("", SplitBehavior::kIsolated, false, "aé"), (Parts{"a", "é"}));
}

TEST(PreTokenizer, EscapedLiteralsMatchThemselves) {
  const std::string literal = "\\.+*?()|[]{}^$#&-~ é";
  EXPECT_EQ(split_at(escape_regex(literal), SplitBehavior::kIsolated, false, "a" + literal + "b"),
            (Parts{"a", literal, "b"}));
}

TEST(PreTokenizer, Digits) {
  EXPECT_EQ(split("a12b½٣", DigitsStep{true}), (Parts{"a", "1", "2", "b", "½", "٣"}));
  EXPECT_EQ(split("a12b½٣", DigitsStep{false}), (Parts{"a", "12", "b", "½٣"}));
}

TEST(PreTokenizer, Gpt2Pattern) {
  EXPECT_EQ(split("We'll  see 12x!\n\n", ByteLevelStep{false, true}),
            (Parts{"We", "'ll", " ", " see", " 12", "x", "!", "\n\n"}));
  EXPECT_EQ(split("x", ByteLevelStep{true, false}), (Parts{" x"}));
}

TEST(Regex, TheMongolianVowelSeparatorIsNoSpace) {
  EXPECT_EQ(split_at("\\s", SplitBehavior::kIsolated, false, "a\u180eb c"),
            (Parts{"a\u180eb", " ", "c"}));
  EXPECT_EQ(split_at("[^\\s]+", SplitBehavior::kIsolated, false, "\u180e\u180e "),
            (Parts{"\u180e\u180e", " "}));
}

TEST(Regex, LineAnchorsMatchAtEveryLine) {
  EXPECT_EQ(split_at("^b|a$", SplitBehavior::kIsolated, false, "xa\nby"),
            (Parts{"x", "a", "\n", "b", "y"}));
}

constexpr std::string_view kGroupedNumbers =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(RegexRewrite, OnlyWhereNothingElseMatchesNumbers) {
  EXPECT_NE(rewrite_for_linear_time(kGroupedNumbers), kGroupedNumbers);
  const std::string_view groups = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";
  EXPECT_NE(rewrite_for_linear_time(groups), groups);
  for (const char* pattern : {R"(.|\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))", R"(\p{L}+|\p{N})", "",
                              R"((\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))|\s+)",
                              R"(\s+|\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))|[|])"}) {
    EXPECT_EQ(rewrite_for_linear_time(pattern), pattern);
  }
}

TEST(RegexRewrite, KeepsEveryMatch) {
  // An empty group in front keeps the pattern from being known, so it runs as it stands.
  const std::string as_it_stands = "(?:)" + std::string(kGroupedNumbers);
  ASSERT_EQ(rewrite_for_linear_time(as_it_stands), as_it_stands);
  const Regex rewritten(kGroupedNumbers, "test");
  const Regex plain("(?:" + std::string(kGroupedNumbers) + ")", "test");
  std::string text;
  std::uint32_t state = 1;
  constexpr std::string_view kUnits[] = {"1", "22", "333", "4444444", "\u0663", "\u00bd", "a",
                                         " ", "\n", "-",   "'s",      "  ",     "x1",     "12'll"};
  for (int round = 0; round < 400; ++round) {
    text.clear();
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525 + 1013904223;
      text += kUnits[(state >> 16) % std::size(kUnits)];
    }
    const auto found = rewritten.find_all(text);
    const auto expected = plain.find_all(text);
    ASSERT_EQ(found.size(), expected.size()) << text;
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].begin, expected[i].begin) << text;
      ASSERT_EQ(found[i].end, expected[i].end) << text;
    }
  }
}

TEST(RegexRewrite, LongNumbersTakeTimeInProportion) {
  const Regex regex(kGroupedNumbers, "test");
  EXPECT_EQ(regex.find_all(std::string(3'000'001, '7')).size(), 1'000'001u);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += std::string(2999, '1') + ' ';
  EXPECT_EQ(regex.find_all(many).size(), 1000u * 1001u);
}

TEST(AddedTokenMatcher, FindsTokensInsideStrippedSpace) {
  // A token that took the space along does not hide tokens inside that space; `tokenizers` then
  // also tokenizes the text between again.
  AddedTokenMatcher matcher;
  matcher.add("\n", {.content = "\n", .id = 1, .rstrip = true});
  matcher.add("\t", {.content = "\t", .id = 2});
  const auto parts = matcher.split("\n \t a");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].text, "\n \t ");
  EXPECT_EQ(parts[1].text, "\t");
  EXPECT_EQ(parts[2].text, " a");
}

}  // namespace
}  // namespace fdllm
