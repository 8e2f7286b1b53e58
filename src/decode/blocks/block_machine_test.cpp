// What holds for every model that attends whole blocks, rule and option, on seeded random scores
// that depend, as a model's do, on what a row attends.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "decode/decode_testing.h"
#include "decode/stop.h"

namespace fdllm {
namespace {

using testing::expect_refused;
using testing::fast_dllm_v2_traits;
using testing::Forward;
using testing::kEnd;
using testing::kMask;
using testing::make_decoder;
using testing::sdar_traits;

/// The K/V that forwards leave: of each row a number that stands for what it was computed from.
class Rows {
 public:
  /// Runs a step as a layer would: all rows are stored, then each reads what it attends. Returns
  /// what the scored rows saw.
  std::vector<std::uint64_t> run(const DecodeStep& step, const Canvas& canvas, std::int32_t shift) {
    std::vector<const ForwardPlan*> plans;
    for (const ForwardPlan& plan : step.before) plans.push_back(&plan);
    plans.push_back(&step.plan);
    for (const ForwardPlan* plan : plans) {
      for (const std::int32_t row : plan->query) token_[row] = canvas.tokens()[row];
    }
    std::map<std::int32_t, std::uint64_t> seen;
    for (const ForwardPlan* plan : plans) {
      for (const std::int32_t row : plan->query) seen[row] = digest(*plan, row);
    }
    std::vector<std::uint64_t> result;
    for (const std::int32_t position : step.plan.score) {
      const std::int32_t row = std::max(position - shift, 0);
      EXPECT_TRUE(seen.contains(row)) << "a score without its row";
      result.push_back(seen[row]);
    }
    return result;
  }

 private:
  std::uint64_t digest(const ForwardPlan& plan, std::int32_t row) {
    std::uint64_t value = static_cast<std::uint64_t>(row);
    for (const Range& range : plan.attend) {
      for (std::int32_t i = range.begin; i < range.end; ++i) {
        EXPECT_TRUE(token_.contains(i)) << "row " << i << " is attended and was never run";
        value = value * 6364136223846793005ull + static_cast<std::uint64_t>(token_[i]) + 1;
      }
    }
    return value;
  }

  std::map<std::int32_t, std::int32_t> token_;
};

struct Outcome {
  std::vector<Forward> forwards;
  std::vector<std::int32_t> tokens;
  std::vector<bool> masked;
  FinishReason reason = FinishReason::kLength;
};

Outcome run(const GenerateOptions& options, const DecodeTraits& traits, std::int32_t prompt_length,
            std::uint64_t seed) {
  std::vector<std::int32_t> prompt(static_cast<std::size_t>(prompt_length));
  std::mt19937_64 random(seed);
  for (std::int32_t& token : prompt) token = static_cast<std::int32_t>(random() % kEnd);
  Decoder decoder = make_decoder(Canvas(prompt, *options.gen_length, kMask), options, traits);
  const std::int32_t shift = traits.reference == ReferenceFamily::kFastDllmV2 ? 1 : 0;
  Rows rows;
  Outcome result;
  while (const auto step = decoder.next()) {
    std::vector<Score> scores;
    for (const std::uint64_t seen : rows.run(*step, decoder.canvas(), shift)) {
      std::mt19937_64 of_row(seen ^ seed);
      const auto token = static_cast<std::int32_t>(of_row() % (kEnd + 1));
      const double unit = std::uniform_real_distribution<double>(0, 1)(of_row);
      scores.push_back(testing::score_of(token, 1 - unit * unit));
    }
    result.forwards.push_back({*step, decoder.advance(scores)});
    if (result.forwards.size() > 1000) {
      ADD_FAILURE() << "does not end";
      break;
    }
  }
  const Canvas& canvas = decoder.canvas();
  for (std::int32_t i = canvas.prompt_length(); i < canvas.answer_end(); ++i) {
    result.tokens.push_back(canvas.tokens()[i]);
    result.masked.push_back(canvas.masked(i));
  }
  result.reason = decoder.finish_reason();
  return result;
}

struct Case {
  GenerateOptions options;
  DecodeTraits traits;
  std::int32_t prompt_length;
};

Case random_case(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return static_cast<std::int32_t>(random() % n); };
  Case made;
  const bool is_sdar = below(2) == 0;
  made.traits = is_sdar ? sdar_traits() : fast_dllm_v2_traits();
  made.prompt_length = below(40);
  GenerateOptions& options = made.options;
  options.gen_length = 1 + below(40);
  options.eos_stop = below(2) == 0;
  if (is_sdar) {
    if (below(2) == 0) options.block_length = 1 + below(9);
    const char* rules[] = {"low_confidence_dynamic", "low_confidence_static", "sequential",
                           "entropy_bounded"};
    options.rule.alg = rules[below(4)];
    if (options.rule.alg != "entropy_bounded") options.rule.set("block_steps", below(6));
    if (below(4) == 0) {
      options.rule = {};
      options.rule.set("tokens_per_forward", 1 + below(3));
    }
  } else {
    if (below(2) == 0) options.sub_block_length = 1 << below(5);
    options.rule.set("threshold", 0.5 + 0.1 * below(6));
  }
  return made;
}

TEST(BlockMachine, ComesToTheSameWithAndWithoutKeptRows) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 400; ++i) {
    Case made = random_case(random);
    const Outcome expected = run(made.options, made.traits, made.prompt_length, 7);
    for (const bool fuse : {false, true}) {
      for (const bool recompute : {false, true}) {
        made.options.fuse_store = fuse;
        made.options.cache.reset();
        if (recompute) made.options.cache = CacheKind::kNone;
        const Outcome found = run(made.options, made.traits, made.prompt_length, 7);
        ASSERT_EQ(found.tokens, expected.tokens) << i << fuse << recompute;
        ASSERT_EQ(found.masked, expected.masked) << i << fuse << recompute;
        ASSERT_EQ(found.reason, expected.reason) << i << fuse << recompute;
      }
    }
  }
}

TEST(BlockMachine, GivesExactlyWhatWasAskedFor) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 400; ++i) {
    Case made = random_case(random);
    made.options.block_cache = made.traits.reference == ReferenceFamily::kFastDllmV2
                                   ? std::optional(random() % 2 == 0)
                                   : std::nullopt;
    const Outcome found = run(made.options, made.traits, made.prompt_length, 9);
    ASSERT_EQ(std::ssize(found.tokens), *made.options.gen_length);
    std::set<std::int32_t> committed;
    for (const Forward& forward : found.forwards) {
      for (const TokenEvent& token : forward.event.committed) {
        ASSERT_TRUE(committed.insert(token.position).second);
        ASSERT_GE(token.position, made.prompt_length);
        ASSERT_LT(token.position, made.prompt_length + *made.options.gen_length);
      }
    }
    if (made.options.eos_stop && found.reason == FinishReason::kStop) continue;
    ASSERT_EQ(std::ssize(committed), *made.options.gen_length);
    ASSERT_EQ(found.forwards.back().event.masked, 0);
  }
}

TEST(BlockMachine, StoppingAtTheEndTokenChangesNothingBeforeIt) {
  std::mt19937_64 random(3);
  int stopped = 0;
  for (int i = 0; i < 400; ++i) {
    Case made = random_case(random);
    made.options.eos_stop = false;
    const Outcome whole = run(made.options, made.traits, made.prompt_length, 11);
    made.options.eos_stop = true;
    const Outcome early = run(made.options, made.traits, made.prompt_length, 11);
    ASSERT_LE(early.forwards.size(), whole.forwards.size());
    const auto end = std::find(whole.tokens.begin(), whole.tokens.end(), kEnd);
    stopped += end != whole.tokens.end() ? 1 : 0;
    for (auto at = whole.tokens.begin(); at != end; ++at) {
      ASSERT_EQ(early.tokens[at - whole.tokens.begin()], *at) << i;
    }
  }
  EXPECT_GT(stopped, 20);
}

TEST(BlockMachine, RunsEveryRowOnceWithoutItsMasks) {
  GenerateOptions options;
  options.gen_length = 11;
  options.eos_stop = false;
  options.rule.alg = "sequential";
  const Outcome found = run(options, sdar_traits(), 10, 5);
  // The prompt's two whole blocks with the first step; blocks [8, 12), [12, 16), [16, 20), [20,
  // 24).
  const std::vector<std::pair<std::int32_t, std::int32_t>> expected = {
      {0, 12},  {8, 12},  {8, 16},  {12, 16}, {12, 16}, {12, 16},
      {12, 20}, {16, 20}, {16, 20}, {16, 20}, {16, 24}};
  std::vector<std::pair<std::int32_t, std::int32_t>> ranges;
  for (const Forward& forward : found.forwards) {
    ranges.emplace_back(forward.event.query_begin, forward.event.query_end);
  }
  EXPECT_EQ(ranges, expected) << "the last block ends where the answer does";
}

TEST(BlockMachine, ASubBlocksStepsRunItsRowsOnly) {
  GenerateOptions options;
  options.gen_length = 16;
  options.eos_stop = false;
  options.block_cache = true;
  options.rule.set("threshold", 1);
  const Outcome found = run(options, fast_dllm_v2_traits(), 16, 5);
  ASSERT_EQ(found.forwards.size(), 16u);
  EXPECT_EQ(found.forwards[0].step.plan.score, std::vector<std::int32_t>{16}) << "the seed";
  EXPECT_EQ(found.forwards[0].step.plan.query.size(), 16u);
  EXPECT_EQ(found.forwards[1].step.plan.query.size(), 16u) << "the block's first";
  EXPECT_EQ(found.forwards[2].step.plan.query.size(), 8u);
  EXPECT_EQ(found.forwards[2].step.plan.attend, (std::vector<Range>{{0, 32}}));
  EXPECT_EQ(found.forwards[8].step.plan.query.size(), 16u) << "the second part's first is masked";
}

void expect_block_refusal(const DecodeTraits& traits, const char* option, const char* value,
                          const std::vector<std::string>& words) {
  GenerateOptions options;
  options.gen_length = 8;
  find_generate_option(option)->set(options, value);
  expect_refused([&] { resolve_settings(options, traits, 4); }, words);
}

TEST(BlockOptions, NameWhatTheOtherKindOfModelTakes) {
  const std::vector<std::string> canvas = {"attends whole blocks"};
  expect_block_refusal(sdar_traits(), "preset", "fast", {"preset", canvas[0]});
  expect_block_refusal(sdar_traits(), "cache", "dual", {"cache", canvas[0]});
  expect_block_refusal(sdar_traits(), "suffix-window", "8", {"suffix_window", canvas[0]});
  expect_block_refusal(sdar_traits(), "steps", "8", {"steps", canvas[0]});
  expect_block_refusal(sdar_traits(), "initial-length", "8", {"initial_length", canvas[0]});
  expect_block_refusal(sdar_traits(), "cfg-scale", "1", {"cfg_scale"});
  expect_block_refusal(sdar_traits(), "alg", "entropy", {"alg", "low_confidence_dynamic"});
  expect_block_refusal(sdar_traits(), "block-cache", "true", {"block_cache", "no parts"});
  expect_block_refusal(sdar_traits(), "sub-block-length", "2", {"sub_block_length", "no parts"});
  expect_block_refusal(fast_dllm_v2_traits(), "block-length", "8", {"block_length", "expected 16"});
  expect_block_refusal(fast_dllm_v2_traits(), "sub-block-length", "5",
                       {"sub_block_length", "divides"});
  expect_block_refusal(testing::llada_traits(), "block-cache", "true",
                       {"block_cache", "whole canvas"});
  expect_block_refusal(testing::llada_traits(), "fuse-store", "true", {"fuse_store"});
  expect_refused([] { resolve_settings({}, sdar_traits(), 4, CanvasKind::kInfilled); },
                 {"holes", "before a block", "LLaDA"});
}

TEST(BlockOptions, DefaultsComeFromTheModel) {
  const DecodeSettings sdar = resolve_settings({}, sdar_traits(), 5);
  EXPECT_EQ(sdar.rule->name, "low_confidence_dynamic");
  EXPECT_EQ(sdar.options.rule.get("threshold"), 0.9);
  EXPECT_EQ(sdar.options.block_length, 4);
  EXPECT_EQ(sdar.spare, 3) << "of 5 + 128 positions, up to 136";
  EXPECT_FALSE(sdar.options.cache.has_value());
  const DecodeSettings v2 = resolve_settings({}, fast_dllm_v2_traits(), 16);
  EXPECT_EQ(v2.rule->name, "above_threshold");
  EXPECT_EQ(v2.options.block_length, 16);
  EXPECT_EQ(v2.options.sub_block_length, 8);
  EXPECT_EQ(v2.options.block_cache, false);
  EXPECT_EQ(v2.spare, 0);
}

}  // namespace
}  // namespace fdllm
