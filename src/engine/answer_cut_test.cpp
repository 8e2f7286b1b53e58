#include "engine/answer_cut.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace fdllm {
namespace {

constexpr std::int32_t kEnd = 9;

std::string token_bytes(std::int32_t id) {
  static const std::vector<std::string> kTexts = {"",     "Hi",        " th", "ere",  "\xC2",
                                                  "\xA3", " \xC2\xA3", "",    "\xFF", ""};
  return kTexts.at(static_cast<std::size_t>(id));
}

AnswerCut cut(std::vector<std::int32_t> ids, const std::vector<std::string>& stop = {}) {
  return cut_answer(ids, std::vector{kEnd}, stop, token_bytes);
}

TEST(CutAnswer, EndsBeforeTheFirstEndTokenOrStopString) {
  EXPECT_EQ(cut({1, 2}).text, "Hi th");
  EXPECT_FALSE(cut({1, 2}).stopped);
  EXPECT_EQ(cut({1, 2}).tokens, 2u);
  EXPECT_EQ(cut({1, kEnd, 2}).text, "Hi");
  EXPECT_TRUE(cut({1, kEnd, 2}).stopped);
  EXPECT_EQ(cut({1, 2, 3}, {"er", "th"}).text, "Hi ");
  EXPECT_EQ(cut({1, 2, 3}, {"er", "th"}).tokens, 1u);  // of the second only a part is left
  EXPECT_EQ(cut({1, kEnd, 2}, {"th"}).text, "Hi");
  EXPECT_EQ(cut({1, 2, 3}, {"Hi"}).tokens, 0u);
  EXPECT_EQ(cut({1, 2, 3}, {"er", "th"}).stop, "th");
  EXPECT_EQ(cut({1, kEnd, 2}, {"th"}).stop, "");
  EXPECT_EQ(cut({1, 8}).text, "Hi\xEF\xBF\xBD");
  EXPECT_EQ(cut({}).tokens, 0u);
}

TEST(CharacterOffsets, CountCodePointsOfTheText) {
  const auto offsets = [](const std::vector<std::int32_t>& ids) {
    std::vector<std::string> bytes;
    for (const std::int32_t id : ids) bytes.push_back(token_bytes(id));
    return character_offsets(bytes);
  };
  using Offsets = std::vector<std::size_t>;
  EXPECT_EQ(offsets({1, 6, 1}), (Offsets{0, 2, 4}));              // "Hi", " £", "Hi"
  EXPECT_EQ(offsets({1, 4, 5, 1}), (Offsets{0, 2, 2, 3}));        // both halves of "£" are in it
  EXPECT_EQ(offsets({1, 7, 1, 7}), (Offsets{0, 2, 2, 4}));        // a special token has no text
  EXPECT_EQ(offsets({8, 4, 1, 5, 1}), (Offsets{0, 1, 2, 4, 5}));  // U+FFFD for each invalid part
  EXPECT_EQ(offsets({}), Offsets{});
}

TEST(CountCharacters, CountsWhatIsShown) {
  EXPECT_EQ(count_characters(""), 0u);
  EXPECT_EQ(count_characters("a \xC2\xA3\xF0\x9F\x98\x80"), 4u);
  EXPECT_EQ(count_characters("a\xFF\xC2"), 3u);
}

}  // namespace
}  // namespace fdllm
