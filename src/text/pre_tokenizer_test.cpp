#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "text/added_tokens.h"

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
