#include "engine/answer_stream.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

constexpr std::int32_t kEnd = 9;

/// Tokens 1 "Hi", 2 " th", 3 "ere", 4 and 5 the halves of "é", 6 "##", 7 no UTF-8, 8 special.
std::string token_bytes(std::int32_t id) {
  static const std::map<std::int32_t, std::string> kTexts{
      {1, "Hi"}, {2, " th"}, {3, "ere"}, {4, "\xC3"}, {5, "\xA9"}, {6, "##"}, {7, "\xFF"}, {8, ""}};
  return kTexts.at(id);
}

AnswerStream make_stream(std::vector<std::string> stop = {}) {
  return AnswerStream({10, 6, {kEnd}, std::move(stop), token_bytes});
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

TEST(AnswerStream, HoldsReplacementsBackThatALimitMayCutOff) {
  AnswerStream stream = make_stream();
  EXPECT_EQ(stream.push(commit({{10, 1}, {11, 7}})), "Hi");
  EXPECT_EQ(stream.push(commit({{12, 1}})), "\xEF\xBF\xBDHi");
  EXPECT_EQ(stream.push(commit({{13, 8}})), "");
  EXPECT_EQ(stream.push(commit({{14, 4}, {15, 1}})), "\xEF\xBF\xBDHi");
}

TEST(AnswerStream, FindsAStopStringAcrossTokens) {
  AnswerStream stream = make_stream({"i th"});
  EXPECT_EQ(stream.push(commit({{10, 6}, {11, 1}})), "##H");
  EXPECT_EQ(stream.push(commit({{12, 8}})), "");
  EXPECT_EQ(stream.push(commit({{13, 2}, {14, 1}})), "");
  EXPECT_EQ(stream.finish("##H"), "");
}

TEST(AnswerStream, CostsTimeLinearInTheAnswer) {
  constexpr std::int32_t kLength = 200000;
  std::size_t bytes = 0;
  AnswerStream stream({0, kLength, {kEnd}, {"never"}, [&](std::int32_t id) {
                         bytes += token_bytes(id).size();
                         return token_bytes(id);
                       }});
  std::size_t printed = 0;
  for (std::int32_t i = 0; i < kLength; ++i) printed += stream.push(commit({{i, 1}})).size();
  EXPECT_EQ(printed, 2u * kLength);
  EXPECT_EQ(bytes, 2u * kLength);  // each token was read once
}

TEST(AnswerStream, IgnoresPositionsOutsideTheAnswer) {
  AnswerStream stream = make_stream();
  EXPECT_EQ(stream.push(commit({{2, 1}, {16, 1}, {10, 1}})), "Hi");
}

}  // namespace
}  // namespace fdllm
