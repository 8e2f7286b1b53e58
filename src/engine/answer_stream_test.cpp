#include "engine/answer_stream.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

constexpr std::int32_t kEnd = 9;

/// Tokens 1 "Hi", 2 " th", 3 "ere", 4 and 5 the halves of "é", 6 "##".
std::string detokenize(std::span<const std::int32_t> ids) {
  static const std::map<std::int32_t, std::string> kTexts{{1, "Hi"},   {2, " th"},  {3, "ere"},
                                                          {4, "\xC3"}, {5, "\xA9"}, {6, "##"}};
  std::string text;
  for (const std::int32_t id : ids) text += kTexts.at(id);
  // As an engine does: an incomplete character at the end is one U+FFFD.
  if (!text.empty() && text.back() == '\xC3') text.replace(text.size() - 1, 1, "\xEF\xBF\xBD");
  return text;
}

AnswerStream make_stream(std::vector<std::string> stop = {}) {
  return AnswerStream({10, 6, {kEnd}, std::move(stop), detokenize});
}

StepEvent commit(std::vector<std::pair<std::int32_t, std::int32_t>> tokens) {
  StepEvent event;
  for (const auto& [position, token] : tokens) event.committed.push_back({position, token, 1});
  return event;
}

TEST(AnswerStream, PrintsWhatNoMaskPrecedes) {
  AnswerStream stream = make_stream();
  EXPECT_EQ(stream.push(commit({{11, 2}})), "");
  EXPECT_EQ(stream.push(commit({{10, 1}})), "Hi th");
  EXPECT_EQ(stream.push(commit({{13, kEnd}})), "");
  EXPECT_EQ(stream.push(commit({{12, 3}})), "ere");
  EXPECT_EQ(stream.push(commit({{14, 1}})), "");
  EXPECT_EQ(stream.finish("Hi there"), "");
}

TEST(AnswerStream, HoldsHalfACharacterBack) {
  AnswerStream stream = make_stream();
  EXPECT_EQ(stream.push(commit({{10, 1}, {11, 4}})), "Hi");
  EXPECT_EQ(stream.push(commit({{12, 5}})), "é");
}

TEST(AnswerStream, PrintsAHalfCharacterAtTheEnd) {
  AnswerStream stream = make_stream();
  EXPECT_EQ(stream.push(commit({{10, 4}})), "");
  EXPECT_EQ(stream.finish("\xEF\xBF\xBD"), "\xEF\xBF\xBD");
}

TEST(AnswerStream, HoldsAPossibleStopStringBack) {
  AnswerStream stream = make_stream({"##Hi"});
  EXPECT_EQ(stream.push(commit({{10, 1}, {11, 6}})), "Hi");
  EXPECT_EQ(stream.push(commit({{12, 2}})), "## th");
  EXPECT_EQ(stream.push(commit({{13, 6}})), "");
  EXPECT_EQ(stream.push(commit({{14, 1}})), "");
  EXPECT_EQ(stream.finish("Hi## th"), "");
}

TEST(AnswerStream, IgnoresPositionsOutsideTheAnswer) {
  AnswerStream stream = make_stream();
  EXPECT_EQ(stream.push(commit({{2, 1}, {16, 1}, {10, 1}})), "Hi");
}

}  // namespace
}  // namespace fdllm
