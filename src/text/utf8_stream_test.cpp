#include "text/utf8_stream.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace fdllm {
namespace {

constexpr std::string_view kR = kReplacement;

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
