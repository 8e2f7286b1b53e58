#include "decode/growth.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::kEnd;
using testing::llada_traits;
using testing::make_decoder;
using testing::score_of;

const std::vector<std::int32_t> kEnds = {kEnd};

TEST(CanvasGrowth, LooksAtTheLastPositionsOfTheAnswer) {
  EXPECT_EQ(CanvasGrowth({10, 42}, 16, 100).tail(), (Range{34, 42}));
  EXPECT_EQ(CanvasGrowth({10, 14}, 4, 100).tail(), (Range{10, 14}));
}

TEST(CanvasGrowth, GrowsByABlockUnlessAnEndIsExpected) {
  CanvasGrowth growth({10, 26}, 16, 60);
  growth.observe(std::vector<Score>{score_of(kEnd, 0.9), score_of(kEnd, 0.2)}, kEnds);
  EXPECT_EQ(growth.end(), 26);
  growth.observe({}, kEnds);
  EXPECT_EQ(growth.end(), 26);
  growth.observe(std::vector<Score>{score_of(kEnd, 0.8), score_of(1, 0.9)}, kEnds);
  EXPECT_EQ(growth.end(), 42);
  growth.observe(std::vector<Score>{score_of(1, 0.9)}, kEnds);
  EXPECT_EQ(growth.end(), 58);
  EXPECT_TRUE(growth.may_grow());
  growth.observe(std::vector<Score>{score_of(1, 0.9)}, kEnds);
  EXPECT_EQ(growth.end(), 60);
  EXPECT_FALSE(growth.may_grow());
}

/// Text up to `length` tokens of the answer, whose prompt has 3, then end tokens; sure of all.
testing::Scorer text_of_length(std::int32_t length) {
  return [length](const ScoreRequest& request) {
    return score_of(request.position - 3 < length ? 1 : kEnd, 0.95);
  };
}

GenerateOptions growing(std::int32_t limit) {
  GenerateOptions options;
  options.gen_length = limit;
  options.block_length = 8;
  options.initial_length = 8;
  return options;
}

TEST(GrowingDecoder, RunsOnlyAsMuchOfTheCanvasAsTheAnswerNeeds) {
  Decoder decoder = make_decoder(growing(256), llada_traits(), 3);
  const auto forwards = testing::run(decoder, text_of_length(20));
  EXPECT_EQ(decoder.finish_reason(), FinishReason::kStop);
  std::int32_t rows = 0;
  for (const auto& forward : forwards) rows = std::max(rows, forward.event.attended_rows);
  EXPECT_EQ(rows, 3 + 24);
  for (std::int32_t i = 0; i < 20; ++i) EXPECT_EQ(decoder.canvas().tokens()[3 + i], 1);
  EXPECT_EQ(decoder.canvas().tokens()[23], kEnd);
}

TEST(GrowingDecoder, ReachesTheLimitWhereNothingEnds) {
  Decoder decoder = make_decoder(growing(40), llada_traits(), 3);
  testing::run(decoder, text_of_length(1000));
  EXPECT_EQ(decoder.finish_reason(), FinishReason::kLength);
  EXPECT_EQ(decoder.canvas().masked_count(), 0);
}

TEST(GrowingDecoder, GrowsWhereItIsFullThoughAnEndWasExpected) {
  GenerateOptions options = growing(16);
  Decoder decoder = make_decoder(options, llada_traits(), 3);
  // The first look sees confident ends; what is committed afterwards is text.
  bool looked = false;
  const auto forwards = testing::run(decoder, [&](const ScoreRequest& request) {
    const bool first = request.step == 0;
    looked |= first;
    return score_of(first && request.position > 3 ? kEnd : 1,
                    first && request.position > 3 ? 0.8 : 0.95);
  });
  EXPECT_TRUE(looked);
  EXPECT_EQ(decoder.finish_reason(), FinishReason::kLength);
  EXPECT_EQ(decoder.canvas().masked_count(), 0);
  EXPECT_EQ(forwards.front().event.attended_rows, 11);
  EXPECT_EQ(forwards.back().event.attended_rows, 19);
}

TEST(GrowingDecoder, WithoutTheEndStopFillsWhatHasGrown) {
  GenerateOptions options = growing(256);
  options.eos_stop = false;
  Decoder decoder = make_decoder(options, llada_traits(), 3);
  testing::run(decoder, text_of_length(20));
  EXPECT_EQ(decoder.finish_reason(), FinishReason::kStop);
  EXPECT_EQ(decoder.canvas().masked_count({0, 3 + 32}), 0);
  EXPECT_EQ(decoder.canvas().masked_count(), 256 - 32);
}

}  // namespace
}  // namespace fdllm
