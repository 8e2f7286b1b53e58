#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "text/utf8_stream.h"

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

TEST(Utf8Stream, NeverEmitsHalfACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xF0"), "a");
  EXPECT_EQ(stream.push("\x9F\x98"), "");
  EXPECT_EQ(stream.push("\x80z\xC3"), "😀z");
  EXPECT_EQ(stream.push("q"), std::string(kR) + "q");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), kR);
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, EqualsTheWholeTextHoweverItIsCut) {
  const std::string bytes = "x\xF0\x9F\x98\x80\xE2\x82\xC3\xA9\xED\xA0\x80\xF4\x90 \xE0";
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      Utf8Stream stream;
      std::string text = stream.push(std::string_view(bytes).substr(0, first));
      text += stream.push(std::string_view(bytes).substr(first, second - first));
      text += stream.push(std::string_view(bytes).substr(second));
      text += stream.finish();
      EXPECT_EQ(text, to_valid_utf8(bytes));
    }
  }
}

}  // namespace
}  // namespace fdllm
