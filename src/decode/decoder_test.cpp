#include "decode/decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::dream_traits;
using testing::Forward;
using testing::kEnd;
using testing::kMask;
using testing::llada_traits;
using testing::make_decoder;
using testing::score_of;

using Positions = std::vector<std::int32_t>;

GenerateOptions small(CacheKind cache) {
  GenerateOptions options;
  options.gen_length = 8;
  options.block_length = 4;
  options.cache = cache;
  return options;
}

Positions committed(const StepEvent& event) {
  Positions positions;
  for (const TokenEvent& token : event.committed) positions.push_back(token.position);
  return positions;
}

/// Token 1, the more confident the earlier; all below 0.9.
Score falling(const ScoreRequest& request) {
  return score_of(1, 0.8 / (1 + request.position));
}

TEST(Decoder, AsksForTheMaskedPositionsOfTheLiveBlock) {
  Decoder decoder = make_decoder(small(CacheKind::kDual), llada_traits(), 3);
  const auto step = decoder.next();
  ASSERT_TRUE(step.has_value());
  EXPECT_TRUE(step->refresh);
  EXPECT_EQ(step->block, 0);
  EXPECT_EQ(step->plan.score, (Positions{3, 4, 5, 6}));
  ASSERT_EQ(step->scores.size(), 4u);
  EXPECT_EQ(step->scores[2].position, 5);
  EXPECT_EQ(step->scores[2].sampling, Sampling::kGreedy);
  const TokenException never_mask = {kMask, TokenRule::kNeverPicked};
  ASSERT_EQ(step->scores[2].exceptions.size(), 1u);
  EXPECT_EQ(step->scores[2].exceptions[0], never_mask);
  EXPECT_FALSE(step->unconditional_tokens.has_value());
}

TEST(Decoder, GreedyRowsHaveNoFilterUnlessSomethingIsMeasuredAfterIt) {
  const auto asked = [](const DecodeTraits& traits, auto change) {
    GenerateOptions options = small(CacheKind::kDual);
    options.top_p = 0.5;
    options.top_k = 3;
    change(options);
    const ScoreRequest request = make_decoder(options, traits, 3).next()->scores[0];
    EXPECT_EQ(request.top_p<1, request.top_k> 0);
    return request.top_k > 0;
  };
  for (const DecodeTraits& traits : {llada_traits(), testing::dream_traits()}) {
    EXPECT_FALSE(asked(traits, [](auto&) {}));
    EXPECT_TRUE(asked(traits, [](auto& o) { o.temperature = 0.5; }));
    EXPECT_FALSE(asked(traits, [](auto& o) { o.temperature = 1e-6; }));
    EXPECT_FALSE(asked(traits, [](auto& o) { o.rule.set("margin", 0.5); }));
  }
  EXPECT_TRUE(asked(testing::dream_traits(), [](auto& o) { o.rule.alg = "entropy"; }));
  EXPECT_TRUE(
      asked(testing::dream_traits(), [](auto& o) { o.confidence = Confidence::kReference; }));
}

TEST(Decoder, NextAloneChangesNothing) {
  Decoder decoder = make_decoder(small(CacheKind::kDual), llada_traits(), 3);
  const auto first = decoder.next();
  const auto second = decoder.next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->plan.query, second->plan.query);
  EXPECT_EQ(first->plan.score, second->plan.score);
  EXPECT_EQ(first->scores[0].step, second->scores[0].step);
}

TEST(Decoder, TellsWhatAStepDid) {
  Decoder decoder = make_decoder(small(CacheKind::kPrefix), llada_traits(), 3);
  decoder.next();
  const std::vector<Score> scores = {score_of(10, 0.95), score_of(11, 0.2), score_of(12, 0.99),
                                     score_of(13, 0.3)};
  StepEvent event = decoder.advance(scores);
  EXPECT_EQ(event.step, 0);
  EXPECT_EQ(event.query_begin, 0);
  EXPECT_EQ(event.query_end, 11);
  EXPECT_EQ(committed(event), (Positions{5, 3}));
  EXPECT_EQ(event.committed[0].token, 12);
  EXPECT_EQ(event.committed[0].confidence, 0.99);
  ASSERT_EQ(event.provisional.size(), 2u);
  EXPECT_EQ(event.provisional[0].position, 4);
  EXPECT_EQ(event.provisional[1].token, 13);
  EXPECT_EQ(event.masked, 6);

  const auto step = decoder.next();
  ASSERT_TRUE(step.has_value());
  EXPECT_FALSE(step->refresh);
  EXPECT_EQ(step->plan.query, positions_of({3, 11}));
  EXPECT_EQ(step->plan.score, (Positions{4, 6}));
  event = decoder.advance(std::vector<Score>{score_of(11, 0.5), score_of(13, 0.4)});
  EXPECT_EQ(event.step, 1);
  EXPECT_EQ(event.query_begin, 3);
  EXPECT_EQ(committed(event), (Positions{4}));
}

TEST(Decoder, ABlockThatItsRefreshFillsNeedsNoOtherForward) {
  for (const CacheKind cache : {CacheKind::kNone, CacheKind::kPrefix, CacheKind::kDual}) {
    Decoder decoder = make_decoder(small(cache), llada_traits(), 2);
    const auto forwards =
        testing::run(decoder, [](const ScoreRequest&) { return score_of(1, 0.95); });
    ASSERT_EQ(forwards.size(), 2u);
    EXPECT_TRUE(forwards[0].step.refresh && forwards[1].step.refresh);
    EXPECT_EQ(decoder.finish_reason(), FinishReason::kLength);
  }
}

TEST(Decoder, QuotaStepsThatCommitNothingRunNoForward) {
  GenerateOptions options = small(CacheKind::kDual);
  options.rule.set("steps", 12);  // six steps over blocks of four
  Decoder decoder = make_decoder(options, llada_traits(), 2);
  EXPECT_EQ(testing::run(decoder, falling).size(), 8u);

  // Dream's schedule begins with an idle step where there are as many steps as positions.
  options = small(CacheKind::kNone);
  options.block_length.reset();
  options.rule.alg = "entropy";
  Decoder dream = make_decoder(options, dream_traits(), 2);
  const auto step = dream.next();
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->scores[0].step, 1);
  EXPECT_EQ(step->scores.size(), 8u);
  const auto forwards = testing::run(dream, falling);
  ASSERT_EQ(forwards.size(), 7u);
  EXPECT_EQ(forwards.front().event.step, 0);
  EXPECT_EQ(forwards.back().event.committed.size(), 2u);
}

TEST(Decoder, CachedDreamFirstCommitsTheBlocksFirstPositionWhateverItsScore) {
  for (const char* alg : {"confidence_threshold", "entropy", "maskgit_plus", "origin"}) {
    GenerateOptions options = small(CacheKind::kDual);
    options.rule.alg = alg;
    Decoder decoder = make_decoder(options, dream_traits(), 3);
    const auto forwards =
        testing::run(decoder, [](const ScoreRequest& r) { return score_of(1, r.position / 20.0); });
    for (const Forward& forward : forwards) {
      if (!forward.step.refresh) continue;
      const std::int32_t begin = 3 + 4 * forward.step.block;
      EXPECT_EQ(forward.step.plan.score, (Positions{begin})) << alg;
      EXPECT_EQ(committed(forward.event), (Positions{begin})) << alg;
    }
    EXPECT_TRUE(decoder.finished());
    EXPECT_EQ(decoder.canvas().masked_count(), 0) << alg;
  }
}

TEST(Decoder, CorrectLetsCachedDreamsFirstForwardFollowItsRule) {
  GenerateOptions options = small(CacheKind::kDual);
  options.correct = true;
  Decoder decoder = make_decoder(options, dream_traits(), 3);
  auto step = decoder.next();
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->plan.score, (Positions{3, 4, 5, 6}));
  const StepEvent event = decoder.advance(
      std::vector<Score>{score_of(1, 0.1), score_of(1, 0.95), score_of(1, 0.2), score_of(1, 0.99)});
  EXPECT_EQ(committed(event), (Positions{6, 4}));
  step = decoder.next();
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->plan.score, (Positions{3, 5}));
  EXPECT_EQ(step->plan.query, positions_of({3, 7}));
}

TEST(Decoder, CorrectRefreshesABlockEvenIfItsScheduleBeginsIdle) {
  GenerateOptions options = small(CacheKind::kDual);
  options.correct = true;
  options.rule.alg = "maskgit_plus";  // four steps over four positions: 0, 1, 1, 2
  Decoder decoder = make_decoder(options, dream_traits(), 3);
  const auto forwards = testing::run(decoder, falling);
  ASSERT_EQ(forwards.size(), 6u);
  EXPECT_TRUE(forwards[0].step.refresh);
  EXPECT_EQ(forwards[0].step.scores[0].step, 1);
  EXPECT_FALSE(forwards[1].step.refresh);
  EXPECT_TRUE(forwards[3].step.refresh);
}

TEST(Decoder, StopsWhenNoMaskPrecedesTheFirstEndToken) {
  GenerateOptions options = small(CacheKind::kDual);
  options.block_length = 8;
  const auto scorer = [](const ScoreRequest& request) {
    return score_of(request.position == 4 ? kEnd : 1, request.position == 4 ? 0.99 : 0.5);
  };
  Decoder decoder = make_decoder(options, llada_traits(), 2);
  auto forwards = testing::run(decoder, scorer);
  // The end token at 4, then 2, then 3.
  EXPECT_EQ(forwards.size(), 3u);
  EXPECT_EQ(decoder.finish_reason(), FinishReason::kStop);
  EXPECT_EQ(decoder.canvas().masked_count(), 5);
  EXPECT_FALSE(decoder.next().has_value());

  options.eos_stop = false;
  Decoder reference = make_decoder(options, llada_traits(), 2);
  forwards = testing::run(reference, scorer);
  EXPECT_EQ(forwards.size(), 8u);
  EXPECT_EQ(reference.finish_reason(), FinishReason::kStop);
  EXPECT_EQ(reference.canvas().masked_count(), 0);
}

TEST(Decoder, RandomRemaskingReplacesConfidenceByAUniformNumber) {
  GenerateOptions options = small(CacheKind::kDual);
  options.rule.set("steps", 8);
  options.remasking = Remasking::kRandom;
  options.seed = 77;
  Decoder decoder = make_decoder(options, llada_traits(), 2);
  for (const Forward& forward : testing::run(decoder, falling)) {
    ASSERT_EQ(forward.event.committed.size(), 1u);
    double best = -1;
    for (const std::int32_t position : forward.step.plan.score) {
      best = std::max(
          best, uniform(77, RandomStream::kConfidence, position, forward.step.scores[0].step, 0));
    }
    EXPECT_EQ(forward.event.committed[0].confidence, best);
  }
}

TEST(Decoder, AsksTheHeadForTheFamilysKindOfSampling) {
  GenerateOptions options = small(CacheKind::kNone);
  options.temperature = 0.5;
  options.seed = 9;
  auto step = make_decoder(options, llada_traits(), 2).next();
  EXPECT_EQ(step->scores[0].sampling, Sampling::kGumbel);
  EXPECT_EQ(step->scores[0].temperature, 0.5f);
  EXPECT_EQ(step->scores[0].seed, 9u);
  EXPECT_FALSE(step->scores[0].needs_distribution);
  options.block_length.reset();
  options.rule.alg = "topk_margin";
  options.top_p = 0.75;
  options.top_k = 5;
  step = make_decoder(options, dream_traits(), 2).next();
  EXPECT_EQ(step->scores[0].sampling, Sampling::kCategorical);
  EXPECT_EQ(step->scores[0].top_p, 0.75f);
  EXPECT_EQ(step->scores[0].top_k, 5);
  EXPECT_TRUE(step->scores[0].needs_distribution);
}

TEST(Decoder, GuidanceAlsoRunsTheCanvasWithItsPromptMasked) {
  GenerateOptions options = small(CacheKind::kNone);
  options.cfg_scale = 1.5;
  Decoder decoder = make_decoder(options, llada_traits(), 2);
  auto step = decoder.next();
  ASSERT_TRUE(step && step->unconditional_tokens);
  EXPECT_EQ(*step->unconditional_tokens, std::vector<std::int32_t>(10, kMask));
  EXPECT_EQ(step->scores[0].cfg_scale, 1.5f);
  decoder.advance(std::vector<Score>(4, score_of(7, 0.5)));
  step = decoder.next();
  EXPECT_EQ((*step->unconditional_tokens)[2], 7);
  EXPECT_EQ((*step->unconditional_tokens)[0], kMask);
}

TEST(Decoder, RefusesScoresThatAreNotFinite) {
  Score bad = score_of(1, 0.5);
  bad.finite = false;
  const Score nan = score_of(1, std::numeric_limits<double>::quiet_NaN());
  const Score infinite = score_of(1, std::numeric_limits<double>::infinity());
  for (const Score& score : {bad, nan, infinite}) {
    Decoder decoder = make_decoder(small(CacheKind::kDual), llada_traits(), 2);
    decoder.next();
    try {
      decoder.advance(std::vector<Score>{score_of(1, 0.9), score, score_of(1, 1), score_of(1, 1)});
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNumeric);
      EXPECT_NE(std::string(error.what()).find("position 3"), std::string::npos) << error.what();
    }
    EXPECT_EQ(decoder.canvas().masked_count(), 8);
  }
}

TEST(Decoder, RefusesCallsOutOfOrder) {
  Decoder decoder = make_decoder(small(CacheKind::kDual), llada_traits(), 2);
  EXPECT_THROW(decoder.advance(std::vector<Score>(4, score_of(1, 0.5))), Error);
  decoder.next();
  EXPECT_THROW(decoder.advance(std::vector<Score>(3, score_of(1, 0.5))), Error);
  EXPECT_THROW(decoder.advance(std::vector<Score>(4, score_of(kMask, 0.5))), Error);
  GenerateOptions options = small(CacheKind::kDual);
  EXPECT_THROW(make_decoder(Canvas({}, 4, kMask), options, llada_traits()), Error);
  options.rule.set("steps", 1);  // fewer than blocks
  EXPECT_THROW(make_decoder(Canvas({}, 8, kMask), options, llada_traits()), Error);
}

TEST(Decoder, FinishEndsARequest) {
  Decoder decoder = make_decoder(small(CacheKind::kDual), llada_traits(), 2);
  decoder.next();
  decoder.finish(FinishReason::kCancelled);
  EXPECT_TRUE(decoder.finished());
  EXPECT_EQ(decoder.finish_reason(), FinishReason::kCancelled);
  EXPECT_FALSE(decoder.next().has_value());
}

TEST(Decoder, AnEmptyPromptAndAPromptThatHoldsTheMaskTokenAreFine) {
  Decoder empty = make_decoder(small(CacheKind::kDual), dream_traits(), 0);
  testing::run(empty, falling);
  EXPECT_EQ(empty.canvas().masked_count(), 0);
  const std::vector<std::int32_t> prompt = {kMask, 1, kMask};
  Decoder decoder = make_decoder(Canvas(prompt, 8, kMask), small(CacheKind::kNone), llada_traits());
  testing::run(decoder, falling);
  EXPECT_EQ(decoder.canvas().tokens()[0], kMask);
  EXPECT_EQ(decoder.canvas().tokens()[2], kMask);
  EXPECT_EQ(decoder.canvas().masked_count(), 0);
}

}  // namespace
}  // namespace fdllm
