#include "decode/settings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::dream_traits;
using testing::expect_refused;
using testing::llada_traits;

using Change = std::function<void(GenerateOptions&)>;

DecodeSettings llada(const Change& change) {
  GenerateOptions options;
  change(options);
  return resolve_settings(options, llada_traits(), 10);
}

DecodeSettings dream(const Change& change) {
  GenerateOptions options;
  change(options);
  return resolve_settings(options, dream_traits(), 10);
}

void expect_llada_refuses(const Change& change, const std::vector<std::string>& words) {
  expect_refused([&] { llada(change); }, words);
}
void expect_dream_refuses(const Change& change, const std::vector<std::string>& words) {
  expect_refused([&] { dream(change); }, words);
}

double number(const DecodeSettings& settings, std::string_view name) {
  return settings.options.rule.get(name).value_or(-1);
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Settings, DefaultsOfLlada) {
  const DecodeSettings settings = llada([](auto&) {});
  EXPECT_EQ(settings.rule->name, "threshold");
  EXPECT_EQ(settings.plan.cache->name, "dual");
  EXPECT_EQ(number(settings, "threshold"), 0.9);
  EXPECT_EQ(settings.block_length, 32);
  EXPECT_EQ(settings.blocks, 4);
  EXPECT_EQ(settings.steps, 0);
  EXPECT_FALSE(settings.first_row);
  EXPECT_EQ(settings.block_range(1, 10), (Range{42, 74}));
}

TEST(Settings, DefaultsOfDream) {
  DecodeSettings settings = dream([](auto&) {});
  EXPECT_EQ(settings.rule->name, "confidence_threshold");
  EXPECT_EQ(number(settings, "threshold"), 0.9);
  EXPECT_EQ(settings.block_length, 32);
  EXPECT_EQ(settings.steps, 0);
  EXPECT_TRUE(settings.first_row);
  EXPECT_FALSE(dream([](auto& o) { o.correct = true; }).first_row);
  settings = dream([](auto& o) { o.cache = CacheKind::kNone; });
  EXPECT_EQ(settings.block_length, 128);
  EXPECT_EQ(settings.blocks, 1);
  EXPECT_EQ(settings.steps, 128);
  EXPECT_FALSE(settings.first_row);
  settings = dream([](auto& o) { o.rule.alg = "entropy"; });
  EXPECT_EQ(settings.steps, 128);
  EXPECT_EQ(settings.steps_of(3), 32);
  EXPECT_EQ(number(settings, "threshold"), -1);
}

TEST(Settings, AShortAnswerIsOneBlockByDefault) {
  EXPECT_EQ(llada([](auto& o) { o.gen_length = 20; }).block_length, 20);
}

TEST(Settings, TheGivenOptionChoosesLladasRule) {
  EXPECT_EQ(llada([](auto& o) { o.rule.set("steps", 64); }).rule->name, "quota");
  EXPECT_EQ(llada([](auto& o) { o.rule.set("steps", 64); }).steps_of(2), 16);
  EXPECT_EQ(number(llada([](auto& o) { o.rule.set("threshold", 0.5); }), "threshold"), 0.5);
  EXPECT_EQ(llada([](auto& o) { o.rule.set("factor", 1.5); }).rule->name, "factor");
  EXPECT_EQ(number(llada([](auto& o) { o.rule.set("factor", 1.5); }), "factor"), 1.5);
}

TEST(Settings, TokensPerForwardChoosesARuleOfEitherFamily) {
  const auto rate = [](auto& o) { o.rule.set("tokens_per_forward", 3.25); };
  EXPECT_EQ(llada(rate).rule->name, "tokens_per_forward");
  EXPECT_EQ(number(llada(rate), "tokens_per_forward"), 3.25);
  EXPECT_EQ(dream(rate).rule->name, "tokens_per_forward");
  EXPECT_TRUE(dream(rate).first_row);
  const auto with_threshold = [](auto& o) {
    o.rule.set("tokens_per_forward", 2), o.rule.set("threshold", 0.9);
  };
  expect_llada_refuses(with_threshold, {"'tokens_per_forward'", "'threshold'", "contradicts"});
  expect_dream_refuses(with_threshold, {"'threshold'", "tokens_per_forward"});
  const auto with_alg = [](auto& o) {
    o.rule.set("tokens_per_forward", 2), o.rule.alg = "entropy";
  };
  expect_dream_refuses(with_alg, {"'tokens_per_forward'", "entropy"});
  for (const double bad : {0.0, 0.99, -1.0, 1e9, kNaN, kInfinity}) {
    expect_llada_refuses([&](auto& o) { o.rule.set("tokens_per_forward", bad); },
                         {"'tokens_per_forward'"});
  }
}

TEST(Settings, RefusesTwoRulesOfLlada) {
  const auto threshold_factor = [](auto& o) {
    o.rule.set("threshold", 0.9), o.rule.set("factor", 1.0);
  };
  expect_llada_refuses(threshold_factor, {"'threshold'", "'factor'", "contradicts"});
  const auto with_steps = [&](auto& o) { threshold_factor(o), o.rule.set("steps", 64); };
  expect_llada_refuses(with_steps, {"'threshold'", "'factor'", "contradicts"});
}

TEST(Settings, StepsAreIgnoredBesideARuleWithoutASchedule) {
  const auto used = [](const Change& change, const DecodeTraits& traits) {
    GenerateOptions options;
    options.rule.set("steps", 8);
    change(options);
    const DecodeSettings settings = resolve_settings(options, traits, 10);
    EXPECT_EQ(settings.steps, 0);
    EXPECT_EQ(settings.options.rule.get("steps"), std::nullopt);
    return std::string(settings.rule->name);
  };
  const auto threshold = [](auto& o) { o.rule.set("threshold", 0.8); };
  const auto factor = [](auto& o) { o.rule.set("factor", 1.0); };
  const auto rate = [](auto& o) { o.rule.set("tokens_per_forward", 2); };
  const auto margin = [](auto& o) { o.rule.set("margin", 0.5); };
  const auto leap = [](auto& o) {
    o.rule.set("relaxed_threshold", 0.7), o.rule.set("threshold", 0.9);
  };
  EXPECT_EQ(used(threshold, llada_traits()), "threshold");
  EXPECT_EQ(used(factor, llada_traits()), "factor");
  EXPECT_EQ(used(rate, llada_traits()), "tokens_per_forward");
  EXPECT_EQ(used(margin, llada_traits()), "margin");
  EXPECT_EQ(used(leap, llada_traits()), "local_leap");
  EXPECT_EQ(used(rate, dream_traits()), "tokens_per_forward");
  EXPECT_EQ(used(margin, dream_traits()), "margin");
  // Cached Dream, whose reference is given steps and never looks at them.
  EXPECT_EQ(used([](auto&) {}, dream_traits()), "confidence_threshold");
  EXPECT_EQ(used(threshold, dream_traits()), "confidence_threshold");
}

TEST(Settings, TheRulesBeyondThePaperServeBothFamilies) {
  const auto is = [](const Change& change, std::string_view name) {
    EXPECT_EQ(llada(change).rule->name, name);
    EXPECT_EQ(dream(change).rule->name, name);
    EXPECT_TRUE(dream(change).first_row);
  };
  is([](auto& o) { o.rule.set("frechet", 0.25); }, "frechet");
  is([](auto& o) { o.rule.set("entropy_bound", 0.1); }, "entropy_bound");
  is([](auto& o) { o.rule.set("margin", 0.5); }, "margin");
  is([](auto& o) { o.rule.set("relaxed_threshold", 0.7); }, "local_leap");
  // The threshold of local_leap is its own, in any order of the rules.
  const auto both = [](auto& o) {
    o.rule.set("relaxed_threshold", 0.7), o.rule.set("threshold", 0.8);
  };
  is(both, "local_leap");
  EXPECT_EQ(number(llada(both), "threshold"), 0.8);
  EXPECT_EQ(number(llada([](auto& o) { o.rule.set("relaxed_threshold", 0.7); }), "threshold"), 0.9);
}

TEST(Settings, RefusesWhatTheRulesBeyondThePaperDoNotTake) {
  expect_llada_refuses([](auto& o) { o.rule.set("frechet", 0.1), o.rule.set("margin", 0.1); },
                       {"'frechet'", "'margin'", "contradicts"});
  expect_llada_refuses([](auto& o) { o.rule.set("frechet", 0.1), o.rule.set("threshold", 0.9); },
                       {"'frechet'", "'threshold'", "contradicts"});
  expect_llada_refuses(
      [](auto& o) { o.rule.set("relaxed_threshold", 0.1), o.rule.set("factor", 1); },
      {"'relaxed_threshold'", "'factor'", "contradicts"});
  expect_llada_refuses([](auto& o) { o.rule.set("relaxed_threshold", 0.95); },
                       {"'relaxed_threshold'", "0.9"});
  expect_llada_refuses([](auto& o) { o.rule.set("margin", 0.1), o.remasking = Remasking::kRandom; },
                       {"'remasking'", "margin"});
  expect_dream_refuses([](auto& o) { o.rule.set("frechet", 0.1), o.rule.alg = "entropy"; },
                       {"'frechet'"});
  for (const double bad : {-0.1, kNaN, 1e30}) {
    expect_llada_refuses([&](auto& o) { o.rule.set("frechet", bad); }, {"'frechet'"});
    expect_llada_refuses([&](auto& o) { o.rule.set("entropy_bound", bad); }, {"'entropy_bound'"});
    expect_llada_refuses([&](auto& o) { o.rule.set("margin", bad); }, {"'margin'"});
    expect_llada_refuses([&](auto& o) { o.rule.set("early_commit", bad); }, {"'early_commit'"});
  }
}

TEST(Settings, BeyondThePaperDreamsFirstTokenIsNotUnconditional) {
  EXPECT_TRUE(dream([](auto& o) { o.refresh_interval = 1; }).first_row);
  EXPECT_FALSE(dream([](auto& o) { o.query = QueryRows::kMasked; }).first_row);
  EXPECT_FALSE(dream([](auto& o) { o.query_before = 1; }).first_row);
  EXPECT_FALSE(dream([](auto& o) { o.refresh = RefreshKind::kNever; }).first_row);
  EXPECT_FALSE(dream([](auto& o) { o.suffix_window = 8; }).first_row);
  EXPECT_FALSE(dream([](auto& o) { o.initial_length = 32; }).first_row);
}

TEST(Settings, ACanvasOfAContinuedTextGrowsByBlocks) {
  EXPECT_EQ(llada([](auto&) {}).initial_length, 128);
  EXPECT_EQ(llada([](auto& o) { o.initial_length = 64; }).initial_length, 64);
  for (const std::int32_t bad : {0, -32}) {
    expect_llada_refuses([&](auto& o) { o.initial_length = bad; },
                         {"'initial_length'", "at least 1"});
  }
  for (const std::int32_t bad : {129, 160}) {
    expect_llada_refuses([&](auto& o) { o.initial_length = bad; },
                         {"'initial_length'", "from 1 to gen_length (128)"});
  }
  // Blocks begin anew where the first canvas ends, so that each growth is a block.
  const DecodeSettings settings = llada([](auto& o) { o.initial_length = 50, o.gen_length = 100; });
  EXPECT_EQ(settings.blocks, 4);
  EXPECT_EQ(settings.block_range(1, 0), (Range{32, 50}));
  EXPECT_EQ(settings.block_range(2, 0), (Range{50, 82}));
  EXPECT_EQ(settings.block_range(3, 0), (Range{82, 100}));
  expect_dream_refuses([](auto& o) { o.initial_length = 32, o.cache = CacheKind::kNone; },
                       {"'initial_length'", "'cache' none"});
  GenerateOptions options;
  options.initial_length = 32;
  expect_refused([&] { resolve_settings(options, llada_traits(), 10, CanvasKind::kInfilled); },
                 {"'initial_length'", "infilled"});
}

TEST(Settings, RefusesDreamsOptionsWithLlada) {
  expect_llada_refuses([](auto& o) { o.rule.alg = "entropy"; }, {"'alg'", "entropy"});
  expect_llada_refuses([](auto& o) { o.rule.set("alg_temp", 0.5); }, {"'alg_temp'", "no rule"});
}

TEST(Settings, RefusesLladasOptionsWithDream) {
  expect_dream_refuses([](auto& o) { o.rule.set("factor", 1.0); }, {"'factor'", "no rule"});
  expect_dream_refuses([](auto& o) { o.remasking = Remasking::kRandom; }, {"'remasking'"});
  const auto guided = [](auto& o) { o.cfg_scale = 1, o.cache = CacheKind::kNone; };
  expect_dream_refuses(guided, {"'cfg_scale'", "no rule"});
}

TEST(Settings, RefusesUnknownAlg) {
  expect_dream_refuses([](auto& o) { o.rule.alg = "quota"; }, {"'alg'", "entropy", "'quota'"});
  expect_dream_refuses([](auto& o) { o.rule.alg = ""; }, {"'alg'", "origin"});
}

TEST(Settings, RefusesThresholdWithOtherAlgs) {
  for (const char* alg : {"origin", "maskgit_plus", "topk_margin", "entropy"}) {
    const auto change = [&](auto& o) { o.rule.alg = alg, o.rule.set("threshold", 0.9); };
    expect_dream_refuses(change, {"'threshold'", alg, "confidence_threshold"});
  }
  EXPECT_EQ(number(dream([](auto& o) { o.rule.set("threshold", 0.5); }), "threshold"), 0.5);
}

TEST(Settings, AlgTempIsForScheduledRankings) {
  for (const char* alg : {"maskgit_plus", "topk_margin", "entropy"}) {
    EXPECT_NO_THROW(dream([&](auto& o) { o.rule.alg = alg, o.rule.set("alg_temp", 0.1); }));
  }
  for (const char* alg : {"origin", "confidence_threshold"}) {
    const auto change = [&](auto& o) { o.rule.alg = alg, o.rule.set("alg_temp", 0.1); };
    expect_dream_refuses(change, {"'alg_temp'", alg});
  }
}

TEST(Settings, TheLastBlockMayBeShort) {
  for (const CacheKind cache : {CacheKind::kNone, CacheKind::kPrefix, CacheKind::kDual}) {
    const DecodeSettings settings =
        llada([&](auto& o) { o.gen_length = 100, o.rule.set("steps", 50), o.cache = cache; });
    EXPECT_EQ(settings.gen_length, 100);
    EXPECT_EQ(settings.block_length, 32);
    EXPECT_EQ(settings.blocks, 4);
    EXPECT_EQ(settings.block_range(2, 10), (Range{74, 106}));
    EXPECT_EQ(settings.block_range(3, 10), (Range{106, 110}));
    EXPECT_EQ(settings.steps_of(0), 16);
    EXPECT_EQ(settings.steps_of(3), 2);
  }
  EXPECT_EQ(dream([](auto& o) { o.gen_length = 33; }).block_range(1, 0), (Range{32, 33}));
  EXPECT_EQ(llada([](auto& o) { o.gen_length = 1; }).block_length, 1);
  // A longer block is the canvas.
  EXPECT_EQ(llada([](auto& o) { o.block_length = 256; }).block_length, 128);
  EXPECT_EQ(llada([](auto& o) { o.block_length = 256; }).blocks, 1);
}

TEST(Settings, EveryBlockHasAShareOfTheStepsByItsLength) {
  for (std::int32_t gen_length = 1; gen_length <= 70; ++gen_length) {
    for (const std::int32_t block_length : {1, 7, 16, 32}) {
      for (const std::int32_t factor : {1, 2, 5}) {
        const std::int32_t blocks = (gen_length - 1) / block_length + 1;
        const std::int32_t steps = std::max(blocks, gen_length * factor / 3);
        const DecodeSettings settings = llada([&](auto& o) {
          o.gen_length = gen_length, o.block_length = block_length, o.rule.set("steps", steps);
        });
        EXPECT_EQ(settings.blocks, blocks);
        std::int32_t sum = 0;
        for (std::int32_t block = 0; block < blocks; ++block) {
          const double length = settings.block_range(block, 0).size();
          EXPECT_GE(settings.steps_of(block), 1);
          EXPECT_LE(std::abs(settings.steps_of(block) - length * steps / gen_length), 1.0);
          sum += settings.steps_of(block);
        }
        EXPECT_EQ(sum, steps);
      }
    }
  }
}

TEST(Settings, RefusesLengthsThatAreNone) {
  expect_llada_refuses([](auto& o) { o.block_length = 0; }, {"'block_length'"});
  expect_llada_refuses([](auto& o) { o.block_length = -32; }, {"'block_length'"});
  expect_llada_refuses([](auto& o) { o.gen_length = 0; }, {"'gen_length'"});
  expect_llada_refuses([](auto& o) { o.gen_length = -5; }, {"'gen_length'"});
  expect_llada_refuses([](auto& o) { o.gen_length = std::numeric_limits<std::int32_t>::max(); },
                       {"'gen_length'", "canvas"});
}

TEST(Settings, RefusesFewerStepsThanBlocks) {
  expect_llada_refuses([](auto& o) { o.rule.set("steps", 3); }, {"'steps'", "4 blocks", "3"});
  expect_llada_refuses([](auto& o) { o.rule.set("steps", 4), o.gen_length = 129; },
                       {"'steps'", "5 blocks"});
  expect_llada_refuses([](auto& o) { o.rule.set("steps", 0); }, {"'steps'", "0"});
  expect_llada_refuses([](auto& o) { o.rule.set("steps", -4); }, {"'steps'"});
  expect_llada_refuses(
      [](auto& o) { o.rule.set("steps", std::numeric_limits<std::int32_t>::max()); },
      {"'steps'", "65536"});
  EXPECT_EQ(llada([](auto& o) { o.rule.set("steps", 256); }).steps_of(0), 64);
  EXPECT_EQ(llada([](auto& o) { o.rule.set("steps", 30); }).steps, 30);
  EXPECT_EQ(dream([](auto& o) { o.cache = CacheKind::kNone, o.rule.set("steps", 48); }).steps_of(0),
            48);
}

TEST(Settings, UncachedDreamHasNoBlocks) {
  const auto blocks = [](auto& o) { o.cache = CacheKind::kNone, o.block_length = 32; };
  expect_dream_refuses(blocks, {"'block_length'", "'cache'", "128"});
  EXPECT_NO_THROW(dream([](auto& o) { o.cache = CacheKind::kNone, o.block_length = 128; }));
  EXPECT_NO_THROW(llada([](auto& o) { o.cache = CacheKind::kNone, o.block_length = 16; }));
}

TEST(Settings, RefusesOneStepABlockWhereItWouldLeaveMasks) {
  for (const CacheKind cache : {CacheKind::kPrefix, CacheKind::kDual}) {
    const auto one = [&](auto& o) {
      o.rule.alg = "entropy", o.rule.set("steps", 4), o.cache = cache;
    };
    expect_dream_refuses(one, {"'steps'", "masked", "8"});
    EXPECT_NO_THROW(dream([&](auto& o) { one(o), o.correct = true; }));
    EXPECT_NO_THROW(dream([&](auto& o) { one(o), o.rule.set("steps", 8); }));
    EXPECT_NO_THROW(dream([&](auto& o) { one(o), o.gen_length = 4, o.block_length = 1; }));
    const auto short_last = [&](auto& o) { one(o), o.gen_length = 100; };
    expect_dream_refuses(short_last, {"'steps'", "masked", "at least 7 steps"});
    EXPECT_NO_THROW(dream([&](auto& o) { short_last(o), o.rule.set("steps", 7); }));
  }
  const auto uncached = [](auto& o) {
    o.rule.alg = "entropy", o.rule.set("steps", 1), o.cache = CacheKind::kNone;
  };
  EXPECT_NO_THROW(dream(uncached));
}

TEST(Settings, GuidanceIsForCacheNone) {
  for (const CacheKind cache : {CacheKind::kPrefix, CacheKind::kDual}) {
    const auto guided = [&](auto& o) { o.cfg_scale = 1, o.cache = cache; };
    expect_llada_refuses(guided, {"'cfg_scale'", "'cache'", "none"});
  }
  EXPECT_NO_THROW(llada([](auto& o) { o.cfg_scale = 1, o.cache = CacheKind::kNone; }));
}

TEST(Settings, RefusesNumbersOutOfRange) {
  for (const double bad : {-0.1, 1.1, 90.0, kNaN, kInfinity, -kInfinity}) {
    expect_llada_refuses([&](auto& o) { o.rule.set("threshold", bad); },
                         {"'threshold'", "from 0 to 1"});
  }
  for (const double bad : {0.0, -1.0, kNaN, kInfinity}) {
    expect_llada_refuses([&](auto& o) { o.rule.set("factor", bad); }, {"'factor'"});
  }
  for (const double bad : {-0.5, -1e-9, 1000.0, kNaN, kInfinity}) {
    expect_llada_refuses([&](auto& o) { o.temperature = bad; }, {"'temperature'"});
    expect_dream_refuses([&](auto& o) { o.rule.alg = "entropy", o.rule.set("alg_temp", bad); },
                         {"'alg_temp'"});
  }
  for (const double bad : {0.0, -0.5, 1.5, kNaN, kInfinity}) {
    expect_dream_refuses([&](auto& o) { o.top_p = bad; }, {"'top_p'"});
  }
  expect_dream_refuses([](auto& o) { o.top_k = -1; }, {"'top_k'"});
  for (const double bad : {-1.0, 1e9, kNaN, kInfinity}) {
    const auto guided = [&](auto& o) { o.cfg_scale = bad, o.cache = CacheKind::kNone; };
    expect_llada_refuses(guided, {"'cfg_scale'"});
  }
  expect_llada_refuses([](auto& o) { o.stop = {"a", ""}; }, {"'stop'"});
}

TEST(Settings, InfillingTakesNoStopStrings) {
  GenerateOptions options;
  options.gen_length = 70;
  options.block_length = 32;
  const DecodeSettings settings =
      resolve_settings(options, llada_traits(), 5, CanvasKind::kInfilled);
  EXPECT_EQ(settings.blocks, 3);
  EXPECT_EQ(settings.block_range(2, 5), (Range{69, 75}));
  // A longer block is the canvas: neither positions nor steps go beyond it.
  options.block_length = std::numeric_limits<std::int32_t>::max();
  const DecodeSettings whole = resolve_settings(options, llada_traits(), 5, CanvasKind::kInfilled);
  EXPECT_EQ(whole.block_length, 70);
  EXPECT_EQ(whole.block_range(0, 5), (Range{5, 75}));
  options.stop = {"end"};
  expect_refused([&] { resolve_settings(options, llada_traits(), 5, CanvasKind::kInfilled); },
                 {"'stop'", "infilling"});
}

TEST(Settings, ATinyTemperatureIsGreedy) {
  for (const double tiny : {0.0, 1e-300, 1e-6, 0.00009}) {
    EXPECT_EQ(llada([&](auto& o) { o.temperature = tiny; }).temperature, 0);
    const auto drawn = [&](auto& o) {
      o.rule.alg = "entropy", o.temperature = tiny, o.rule.set("alg_temp", tiny);
    };
    EXPECT_EQ(dream(drawn).temperature, 0);
    EXPECT_EQ(number(dream(drawn), "alg_temp"), 0);
    EXPECT_FALSE(dream(drawn).depends_on_seed());
    // Where alg_temp is no option, a tiny one asks for nothing.
    EXPECT_NO_THROW(dream([&](auto& o) { o.rule.alg = "origin", o.rule.set("alg_temp", tiny); }));
    GenerateOptions options;
    options.temperature = tiny;
    const DecodeSettings settings = resolve_settings(options, llada_traits(), 1);
    EXPECT_EQ(settings.options.temperature, 0);
  }
  EXPECT_EQ(llada([](auto& o) { o.temperature = 1e-4; }).temperature, 1e-4);
}

TEST(Settings, RulesWithABarGoByTheRawProbabilityUnlessTheReferencesIsAskedFor) {
  const auto measure = [](const Change& change) { return dream(change).measure; };
  const auto of_reference = [](const Change& change) {
    return dream([&](auto& o) { change(o), o.confidence = Confidence::kReference; }).measure;
  };
  const std::vector<Change> bars = {[](auto&) {}, [](auto& o) { o.rule.set("frechet", 0.2); },
                                    [](auto& o) { o.rule.set("relaxed_threshold", 0.7); }};
  for (const Change& bar : bars) {
    EXPECT_EQ(measure(bar), Measure::kProbability);
    EXPECT_EQ(of_reference(bar), Measure::kFilteredProbability);
    EXPECT_EQ(llada(bar).measure, Measure::kProbability);
  }
  const Change ranks = [](auto& o) { o.rule.alg = "maskgit_plus"; };
  EXPECT_EQ(measure(ranks), Measure::kFilteredProbability);
  EXPECT_EQ(of_reference(ranks), Measure::kFilteredProbability);
  const Change margin = [](auto& o) { o.rule.set("margin", 0.2); };
  const Change bound = [](auto& o) { o.rule.set("entropy_bound", 0.2); };
  const Change early = [](auto& o) { o.rule.set("early_commit", 0.9); };
  for (const Change& change : {margin, bound, early}) {
    EXPECT_TRUE(dream(change).raw_distribution);
    EXPECT_TRUE(llada(change).raw_distribution);
    EXPECT_FALSE(
        dream([&](auto& o) { change(o), o.confidence = Confidence::kReference; }).raw_distribution);
  }
  EXPECT_FALSE(dream([](auto& o) { o.rule.alg = "entropy"; }).raw_distribution);
  EXPECT_FALSE(dream([](auto& o) {
                 o.rule.alg = "entropy", o.rule.set("early_commit", 0.5);
               }).raw_distribution);
}

}  // namespace
}  // namespace fdllm
