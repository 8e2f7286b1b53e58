#include "base/utf8.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

constexpr std::string_view kR = kReplacement;

TEST(ToValidUtf8, KeepsValidText) {
  const std::string text = std::string("a\0b\n", 4) + "é € 😀 \xF4\x8F\xBF\xBF";
  EXPECT_EQ(to_valid_utf8(text), text);
}

TEST(ToValidUtf8, ReplacesEachMaximalInvalidPart) {
  const std::string r(kR);
  const std::pair<std::string, std::string> cases[] = {
      {"\x80", r},                  // a continuation alone
      {"\xC0\xAF", r + r},          // overlong: neither byte can start a character
      {"\xE2\x82", r},              // a truncated euro sign
      {"\xE2\x82z", r + "z"},       // the same before a letter
      {"\xE0\x80\x80", r + r + r},  // overlong, refused at the second byte
      {"\xED\xA0\x80", r + r + r},  // a surrogate
      {"\xF0\x9F\x98", r},          // a truncated emoji
      {"\xF0\x9F\x98\xF0\x9F\x98\x80", r + "😀"},
      {"\xF4\x90\x80\x80", r + r + r + r},  // above U+10FFFF
      {"\xF5z\xFF", r + "z" + r},
  };
  for (const auto& [bytes, text] : cases) EXPECT_EQ(to_valid_utf8(bytes), text);
}

TEST(AppendUtf8, InvertsRead) {
  for (const char32_t value : {U'\0', U'a', U'\x7F', U'\x80', U'\x7FF', U'\x800', U'\uFFFD',
                               U'\U00010000', U'\U0010FFFF'}) {
    std::string text;
    append_utf8(text, value);
    const Utf8Unit unit = read_utf8(text, 0);
    EXPECT_EQ(unit.status, Utf8Status::kValid);
    EXPECT_EQ(unit.value, value);
    EXPECT_EQ(unit.size, text.size());
    EXPECT_EQ(utf8_length(text.front()), text.size());
  }
}

TEST(IsValidUtf8, AcceptsEveryKindOfCharacter) {
  for (const char* text : {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                           "a\xc3\xa9z\xe2\x82\xac\xf0\x9f\x98\x80"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  EXPECT_TRUE(is_valid_utf8(std::string("a\0b", 3)));
}

TEST(IsValidUtf8, RefusesWhatIsNoCharacter) {
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe2\x82",
        "\xe2\x82\x41", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "good\xffgood"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << text;
  }
}

TEST(CountCharacters, CountsWhatIsShown) {
  EXPECT_EQ(count_characters(""), 0u);
  EXPECT_EQ(count_characters("aé漢😀"), 4u);
  EXPECT_EQ(count_characters("a\xE2\x82z"), 3u);
}

TEST(Utf8Start, FindsTheCharacterOfEachByte) {
  const std::string text = "aé漢😀";
  const std::size_t starts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6};
  for (std::size_t at = 0; at < text.size(); ++at) EXPECT_EQ(utf8_start(text, at), starts[at]);
  EXPECT_EQ(utf8_start(text, text.size()), text.size());
}

}  // namespace
}  // namespace fdllm
