// What holds for every cache policy, rule and option, shown on seeded random scores.
#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"
#include "decode/settings.h"
#include "decode/stop.h"
#include "decode/unmask/lookup.h"

namespace fdllm {
namespace {

using testing::dream_traits;
using testing::Forward;
using testing::kMask;
using testing::llada_traits;
using testing::make_decoder;
using testing::numbers_of;
using testing::rule_of;

constexpr CacheKind kCaches[] = {CacheKind::kNone, CacheKind::kPrefix, CacheKind::kDual};

struct Case {
  GenerateOptions options;
  DecodeTraits traits;
  std::int32_t prompt_length = 0;
  std::string text;
};

/// How many rules models have that decode a canvas.
std::size_t canvas_rules() {
  std::set<const UnmaskRule*> rules;
  for (const ReferenceFamily family : {ReferenceFamily::kLlada, ReferenceFamily::kDream}) {
    for (const UnmaskRule* rule : rules_of(family)) rules.insert(rule);
  }
  return rules.size();
}

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::int32_t integer(std::int32_t least, std::int32_t greatest) {
    return std::uniform_int_distribution<std::int32_t>(least, greatest)(random_);
  }
  double unit() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  bool coin() { return integer(0, 1) == 1; }

  /// A request that validation accepts, over all rules, caches and options.
  Case valid_case() {
    Case result;
    GenerateOptions& options = result.options;
    const std::int32_t block_length = integer(1, 12);
    const std::int32_t blocks = integer(1, 4);
    // The last block may be short.
    const std::int32_t missing = coin() ? 0 : integer(0, block_length - 1);
    options.gen_length = block_length * blocks - missing;
    options.block_length = block_length;
    options.cache = kCaches[integer(0, 2)];
    options.seed = random_();
    options.eos_stop = coin();
    options.correct = coin();
    if (coin()) options.temperature = 0.1 + unit();
    if (coin()) beyond_the_paper(options, blocks);
    result.prompt_length = integer(0, 9);
    if (coin()) {
      result.traits = llada_traits();
      llada(options);
    } else {
      result.traits = dream_traits();
      dream(options, block_length);
    }
    for (const GenerateOption& option : generate_options()) {
      const auto text = option.text(options);
      if (text) result.text += option.name + " " + *text + " ";
    }
    return result;
  }

 private:
  /// At most one more than the canvas has, where it grows.
  static std::int32_t blocks_with(const GenerateOptions& options) {
    const std::int32_t blocks = (*options.gen_length - 1) / *options.block_length + 1;
    return blocks + (options.initial_length ? 1 : 0);
  }

  void beyond_the_papers_rules(GenerateOptions& options) {
    switch (integer(0, 4)) {
      case 0:
        options.rule.set("frechet", unit());
        break;
      case 1:
        options.rule.set("entropy_bound", 3 * unit());
        break;
      case 2:
        options.rule.set("margin", unit());
        break;
      case 3:
        options.rule.set("threshold", 0.5 + unit() / 2);
        options.rule.set("relaxed_threshold", unit() / 2);
        break;
      default:
        break;
    }
  }

  void beyond_the_paper(GenerateOptions& options, std::int32_t blocks) {
    if (coin()) options.suffix_window = integer(0, 20);
    if (integer(0, 3) == 0) options.rule.set("early_commit", unit());
    if (options.cache != CacheKind::kNone && coin()) {
      options.initial_length =
          coin() ? std::min(*options.block_length * integer(1, blocks), *options.gen_length)
                 : integer(1, *options.gen_length);
    }
    if (options.cache == CacheKind::kNone) return;
    options.query = coin() ? QueryRows::kMasked : QueryRows::kAll;
    if (coin()) options.query_before = integer(0, 20);
    options.refresh = refresh_policies()[integer(0, 3)].kind;
    if (coin()) options.refresh_interval = integer(1, 4);
    if (options.refresh == RefreshKind::kVicinity && coin()) {
      options.refresh_radius = integer(0, 20);
    }
    if (options.refresh == RefreshKind::kDrift && coin()) options.refresh_drift = unit();
  }

  void llada(GenerateOptions& options) {
    switch (integer(0, 9)) {
      case 0:
        options.rule.set("steps", blocks_with(options) * integer(1, 20) + integer(0, 2));
        break;
      case 1:
        options.rule.set("threshold", unit());
        break;
      case 2:
        options.rule.set("factor", 0.05 + 2 * unit());
        break;
      case 3:
        options.rule.set("tokens_per_forward", 1 + 6 * unit());
        break;
      default:
        beyond_the_papers_rules(options);
        break;
    }
    const bool by_distribution = options.rule.get("entropy_bound") || options.rule.get("margin");
    if (!by_distribution && integer(0, 3) == 0) options.remasking = Remasking::kRandom;
    if (options.cache == CacheKind::kNone && coin()) options.cfg_scale = unit();
  }

  void dream(GenerateOptions& options, std::int32_t block_length) {
    const auto rules = rules_of(ReferenceFamily::kDream);
    const UnmaskRule& rule = *rules[integer(0, static_cast<std::int32_t>(rules.size()) - 1)];
    const bool uncached = options.cache == CacheKind::kNone;
    if (uncached) options.block_length.reset();
    if (rule.chosen_by == nullptr) options.rule.alg = std::string(rule.name);
    if (rule.name == "tokens_per_forward") {
      options.rule.set("tokens_per_forward", 1 + 6 * unit());
    } else if (rule.chosen_by != nullptr) {
      beyond_the_papers_rules(options);
    } else if (options.rule.alg == "confidence_threshold") {
      if (coin()) options.rule.set("threshold", unit());
      if (uncached && coin()) options.rule.set("steps", integer(1, 2 * *options.gen_length));
    } else if (uncached) {
      if (coin()) options.rule.set("steps", integer(1, 60));
    } else if (block_length == 1 || options.correct) {
      options.rule.set("steps", blocks_with(options) * integer(1, 20));
    } else {
      // One step a block is refused, also as the default that gen_length is.
      options.rule.set("steps", blocks_with(options) * integer(2, 20));
    }
    const auto& numbers = rule.numbers;
    const bool takes_alg_temp = std::ranges::any_of(
        numbers, [](const RuleNumber* number) { return number->name == "alg_temp"; });
    if (takes_alg_temp && coin()) {
      options.rule.set("alg_temp", 0.05 + unit());
    }
    if (coin()) options.top_p = 0.5 + unit() / 2;
    if (coin()) options.top_k = integer(1, 40);
  }

  std::mt19937_64 random_;
};

/// Which K/V a model would hold after the forwards so far.
class KvModel {
 public:
  explicit KvModel(const Canvas& canvas)
      : computed_(canvas.length(), 0), token_(canvas.length(), -1) {}

  /// A forward may attend what it or an earlier one has computed. The token that was computed is
  /// today's, since what was committed in the step before is run again.
  void run(const Canvas& canvas, const ForwardPlan& plan) {
    for (const std::int32_t row : plan.query) {
      computed_[row] = 1;
      token_[row] = canvas.tokens()[row];
    }
    for (const Range& range : plan.attend) {
      for (std::int32_t row = range.begin; row < range.end; ++row) {
        ASSERT_TRUE(computed_[row]) << row;
        ASSERT_EQ(token_[row], canvas.tokens()[row]) << row;
      }
    }
  }

 private:
  std::vector<char> computed_;
  std::vector<std::int32_t> token_;
};

bool covers(std::span<const Range> ranges, std::int32_t row) {
  return std::any_of(ranges.begin(), ranges.end(), [&](Range r) { return r.contains(row); });
}

void check_plan(const DecodeSettings& settings, const Canvas& before, const DecodeStep& step) {
  const ForwardPlan& plan = step.plan;
  EXPECT_EQ(std::adjacent_find(plan.query.begin(), plan.query.end(), std::greater_equal<>()),
            plan.query.end());
  EXPECT_EQ(step.refresh, static_cast<std::int32_t>(plan.query.size()) == attended_rows(plan));
  for (const std::int32_t row : plan.query) EXPECT_TRUE(covers(plan.attend, row)) << row;
  for (const std::int32_t row : plan.score) {
    EXPECT_TRUE(std::binary_search(plan.query.begin(), plan.query.end(), row)) << row;
  }
  for (std::int32_t row = 0; row < before.length(); ++row) {
    EXPECT_TRUE(before.masked(row) || covers(plan.attend, row)) << row;
  }
  const bool grows = settings.initial_length < settings.gen_length;
  if (!settings.plan.suffix_window && !grows) {
    EXPECT_EQ(plan.attend, (std::vector<Range>{{0, before.length()}}));
  }
}

/// Every invariant of one forward and of the canvas around it.
void check_forward(const Case& c, const Canvas& before, const Forward& forward) {
  const DecodeSettings settings = resolve_settings(c.options, c.traits, c.prompt_length);
  const Range block = settings.block_range(forward.step.block, c.prompt_length);
  const StepEvent& event = forward.event;
  check_plan(settings, before, forward.step);
  for (std::int32_t row = std::max(0, block.begin - settings.plan.query_before); row < block.begin;
       ++row) {
    EXPECT_TRUE(std::ranges::binary_search(forward.step.plan.query, row)) << row;
  }
  EXPECT_EQ(event.query_rows, static_cast<std::int32_t>(forward.step.plan.query.size()));
  EXPECT_EQ(event.attended_rows, attended_rows(forward.step.plan));
  EXPECT_EQ(event.scored_rows, static_cast<std::int32_t>(forward.step.plan.score.size()));
  EXPECT_TRUE(std::is_sorted(forward.step.plan.score.begin(), forward.step.plan.score.end()));
  const auto own = std::count_if(forward.step.plan.score.begin(), forward.step.plan.score.end(),
                                 [&](std::int32_t row) { return block.contains(row); });
  EXPECT_EQ(std::ssize(event.committed) + std::ssize(event.provisional), own);
  EXPECT_TRUE(c.options.initial_length || own == std::ssize(forward.step.plan.score));
  EXPECT_GE(event.committed.size(), 1u);
  std::set<std::int32_t> seen;
  for (const TokenEvent& token : event.committed) {
    EXPECT_TRUE(before.masked(token.position));
    EXPECT_TRUE(block.contains(token.position));
    EXPECT_NE(token.token, kMask);
    EXPECT_TRUE(seen.insert(token.position).second);
  }
  EXPECT_EQ(event.masked,
            before.masked_count() - static_cast<std::int32_t>(event.committed.size()));
}

TEST(DecodeProperties, EveryRequestEndsAndEveryForwardCommitsInTheLiveBlock) {
  Generator generator(20);
  std::set<std::string> rules;
  for (int i = 0; i < 6000; ++i) {
    const Case c = generator.valid_case();
    SCOPED_TRACE(c.text);
    const DecodeSettings settings = resolve_settings(c.options, c.traits, c.prompt_length);
    rules.emplace(settings.rule->name);
    Decoder decoder = make_decoder(c.options, c.traits, c.prompt_length);
    KvModel kv(decoder.canvas());
    const auto scorer = testing::random_scorer(static_cast<std::uint64_t>(i));
    std::int32_t forwards = 0;
    std::int32_t block = 0;
    bool begun = false;
    while (const auto step = decoder.next()) {
      const Canvas before = decoder.canvas();
      if (step->block != block) begun = false;
      EXPECT_TRUE(step->block == block || step->block == block + 1);
      EXPECT_TRUE(begun || step->refresh || !settings.plan.as_paper())
          << "the paper begins a block with a refresh";
      EXPECT_TRUE(forwards > 0 || step->refresh);
      kv.run(before, step->plan);
      block = step->block;
      begun = true;
      std::vector<Score> scores;
      for (const ScoreRequest& request : step->scores) scores.push_back(scorer(request));
      const Forward forward = {*step, decoder.advance(scores)};
      check_forward(c, before, forward);
      EXPECT_EQ(forward.event.step, forwards);
      ASSERT_LE(++forwards, *c.options.gen_length);
    }
    EXPECT_TRUE(decoder.finished());
    if (decoder.finish_reason() == FinishReason::kLength ||
        (!c.options.eos_stop && !c.options.initial_length)) {
      EXPECT_EQ(decoder.canvas().masked_count(), 0);
    } else {
      EXPECT_TRUE(settled_end(decoder.canvas(), c.traits.end_tokens).has_value());
    }
    for (std::int32_t p = 0; p < c.prompt_length; ++p) EXPECT_EQ(decoder.canvas().tokens()[p], 1);
    if (HasFailure()) return;
  }
  EXPECT_EQ(rules.size(), canvas_rules());
}

TEST(DecodeProperties, MaskedQueriesAreMasksAndTheCommitsOfTheStepBefore) {
  Generator generator(27);
  for (int i = 0; i < 500; ++i) {
    Case c = generator.valid_case();
    if (c.options.cache == CacheKind::kNone) continue;
    c.options.cache = CacheKind::kDual;
    c.options.query = QueryRows::kMasked;
    c.options.query_before.reset();
    c.options.initial_length.reset();  // a canvas that grows runs more than its block
    SCOPED_TRACE(c.text);
    Decoder decoder = make_decoder(c.options, c.traits, c.prompt_length);
    const auto scorer = testing::random_scorer(static_cast<std::uint64_t>(i));
    std::set<std::int32_t> committed;
    std::int32_t block = -1;
    while (const auto step = decoder.next()) {
      if (step->block == block && !step->refresh) {
        std::set<std::int32_t> expected = committed;
        expected.insert(step->plan.score.begin(), step->plan.score.end());
        EXPECT_EQ(step->plan.query, (std::vector<std::int32_t>{expected.begin(), expected.end()}));
      }
      block = step->block;
      std::vector<Score> scores;
      for (const ScoreRequest& request : step->scores) scores.push_back(scorer(request));
      committed.clear();
      for (const TokenEvent& token : decoder.advance(scores).committed) {
        committed.insert(token.position);
      }
    }
    if (HasFailure()) return;
  }
}

TEST(DecodeProperties, InfillingFillsTheHolesAndNothingElse) {
  Generator generator(21);
  std::set<std::string> rules;
  for (int i = 0; i < 4000; ++i) {
    Case c = generator.valid_case();
    c.options.initial_length.reset();
    const std::int32_t length = c.prompt_length + *c.options.gen_length;
    std::vector<std::int32_t> holes = {c.prompt_length};
    for (std::int32_t p = c.prompt_length + 1; p < length; ++p) {
      if (generator.integer(0, 2) == 0) holes.push_back(p);
    }
    const std::vector<std::int32_t> text(static_cast<std::size_t>(length), 1);
    SCOPED_TRACE(c.text);
    const DecodeSettings settings =
        resolve_settings(c.options, c.traits, c.prompt_length, CanvasKind::kInfilled);
    rules.emplace(settings.rule->name);
    Decoder decoder = make_decoder(Canvas::with_holes(text, holes, kMask), c.options, c.traits,
                                   CanvasKind::kInfilled);
    KvModel kv(decoder.canvas());
    const auto scorer = testing::random_scorer(static_cast<std::uint64_t>(i));
    std::size_t filled = 0;
    while (const auto step = decoder.next()) {
      kv.run(decoder.canvas(), step->plan);
      check_plan(settings, decoder.canvas(), *step);
      std::vector<Score> scores;
      for (const ScoreRequest& request : step->scores) scores.push_back(scorer(request));
      filled += decoder.advance(scores).committed.size();
      ASSERT_LE(filled, holes.size());
    }
    EXPECT_EQ(filled, holes.size());
    EXPECT_EQ(decoder.canvas().masked_count(), 0);
    EXPECT_EQ(decoder.finish_reason(), FinishReason::kLength);
    for (std::int32_t p = 0; p < length; ++p) {
      if (!std::binary_search(holes.begin(), holes.end(), p)) {
        EXPECT_EQ(decoder.canvas().tokens()[p], 1);
      }
    }
    if (HasFailure()) return;
  }
  EXPECT_EQ(rules.size(), canvas_rules());
}

TEST(DecodeProperties, ARequestIsAFunctionOfItsOptionsAndScores) {
  Generator generator(21);
  for (int i = 0; i < 500; ++i) {
    const Case c = generator.valid_case();
    const auto run = [&] {
      Decoder decoder = make_decoder(c.options, c.traits, c.prompt_length);
      testing::run(decoder, testing::random_scorer(static_cast<std::uint64_t>(i)));
      const auto tokens = decoder.canvas().tokens();
      return std::vector<std::int32_t>(tokens.begin(), tokens.end());
    };
    ASSERT_EQ(run(), run()) << c.text;
  }
}

TEST(DecodeProperties, QuotaRunsMinOfStepsAndMaskedForwardsABlock) {
  for (const CacheKind cache : kCaches) {
    for (std::int32_t block_length = 1; block_length <= 12; ++block_length) {
      for (std::int32_t steps = 1; steps <= 20; ++steps) {
        GenerateOptions options;
        options.gen_length = 3 * block_length;
        options.block_length = block_length;
        options.rule.set("steps", 3 * steps);
        options.cache = cache;
        options.eos_stop = false;
        Decoder decoder = make_decoder(options, llada_traits(), 4);
        EXPECT_EQ(testing::run(decoder, testing::random_scorer(7)).size(),
                  static_cast<std::size_t>(3 * std::min(block_length, steps)));
      }
    }
  }
}

TEST(DecodeProperties, TheQuotaOfAShortLastBlockIsSpreadOverItsShareOfTheSteps) {
  for (const CacheKind cache : kCaches) {
    GenerateOptions options;
    options.gen_length = 100;
    options.rule.set("steps", 25);
    options.cache = cache;
    options.eos_stop = false;
    Decoder decoder = make_decoder(options, llada_traits(), 4);
    std::vector<std::size_t> commits;
    for (const Forward& forward : testing::run(decoder, testing::random_scorer(9))) {
      commits.push_back(forward.event.committed.size());
    }
    // 32, 32, 32 and 4 positions have 8, 8, 8 and 1 steps.
    EXPECT_EQ(commits, (std::vector<std::size_t>(25, 4)));
    EXPECT_EQ(decoder.canvas().masked_count(), 0);
  }
}

TEST(DecodeProperties, AThresholdThatNothingReachesCommitsOneAForward) {
  for (const CacheKind cache : kCaches) {
    for (const DecodeTraits& traits : {llada_traits(), dream_traits()}) {
      GenerateOptions options;
      options.gen_length = 24;
      if (cache != CacheKind::kNone) options.block_length = 8;
      options.rule.set("threshold", 1.0);
      options.cache = cache;
      options.eos_stop = false;
      if (cache == CacheKind::kNone && traits.reference == ReferenceFamily::kLlada) {
        options.block_length = 8;
      }
      Decoder decoder = make_decoder(options, traits, 4);
      const auto forwards = testing::run(decoder, testing::random_scorer(8));
      EXPECT_EQ(forwards.size(), 24u);
      for (const Forward& forward : forwards) EXPECT_EQ(forward.event.committed.size(), 1u);
    }
  }
}

TEST(DecodeProperties, UncachedDreamsThresholdNeedsAtLeastItsSteps) {
  for (const std::int32_t steps : {1, 2, 3, 4, 5, 7, 8, 11, 16}) {
    for (const double confidence : {0.0, 0.5, 0.95}) {
      GenerateOptions options;
      options.gen_length = 16;
      options.cache = CacheKind::kNone;
      options.rule.set("steps", steps);
      Decoder decoder = make_decoder(options, dream_traits(), 4);
      const auto scorer = [&](const ScoreRequest&) { return testing::score_of(1, confidence); };
      // All reach the threshold: the budget binds. None does: one a forward.
      EXPECT_EQ(testing::run(decoder, scorer).size(),
                static_cast<std::size_t>(confidence >= 0.9 ? steps : 16));
    }
  }
}

TEST(DecodeProperties, PrefixAndDualAgreeOnTheLastBlockAndOnASingleOne) {
  for (int i = 0; i < 200; ++i) {
    GenerateOptions options;
    options.gen_length = 16;
    options.block_length = 16;
    options.eos_stop = false;
    const auto run = [&](CacheKind cache) {
      options.cache = cache;
      Decoder decoder = make_decoder(options, llada_traits(), 5);
      return testing::run(decoder, testing::random_scorer(static_cast<std::uint64_t>(i)));
    };
    const auto prefix = run(CacheKind::kPrefix);
    const auto dual = run(CacheKind::kDual);
    ASSERT_EQ(prefix.size(), dual.size());
    for (std::size_t k = 0; k < prefix.size(); ++k) {
      EXPECT_EQ(prefix[k].step.plan.query, dual[k].step.plan.query);
      EXPECT_EQ(prefix[k].step.plan.score, dual[k].step.plan.score);
    }
    EXPECT_EQ(prefix[0].step.plan.query, run(CacheKind::kNone)[0].step.plan.query);
  }
}

/// Random candidates of a rule, position ascending.
std::vector<Candidate> random_candidates(Generator& generator) {
  std::vector<double> confidences(static_cast<std::size_t>(generator.integer(1, 40)));
  // Coarse values make ties common.
  for (double& c : confidences)
    c = generator.coin() ? generator.unit() : std::round(generator.unit() * 8) / 8;
  return testing::candidates_of(confidences);
}

std::set<std::int32_t> position_set(std::span<const Candidate> candidates) {
  std::set<std::int32_t> result;
  for (const Candidate& candidate : candidates) result.insert(candidate.position);
  return result;
}

TEST(RuleProperties, ALowerThresholdCommitsASuperset) {
  Generator generator(22);
  for (int i = 0; i < 5000; ++i) {
    const auto candidates = random_candidates(generator);
    const auto masked = testing::positions_of(candidates);
    double low = generator.unit();
    double high = generator.unit();
    if (low > high) std::swap(low, high);
    for (const UnmaskRule* rule : {&rule_of("threshold"), &rule_of("confidence_threshold")}) {
      const auto of = [&](double threshold) {
        return position_set(rule->select(
            {.masked = masked, .numbers = numbers_of({{"threshold", threshold}}), .query = {0, 64}},
            candidates));
      };
      const auto more = of(low);
      const auto fewer = of(high);
      ASSERT_TRUE(std::includes(more.begin(), more.end(), fewer.begin(), fewer.end()));
    }
  }
}

TEST(RuleProperties, ALargerFactorCommitsASuperset) {
  Generator generator(23);
  for (int i = 0; i < 5000; ++i) {
    const auto candidates = random_candidates(generator);
    const auto masked = testing::positions_of(candidates);
    const double factor = 2 * generator.unit() + 0.01;
    for (const bool correct : {false, true}) {
      const auto of = [&](double f) {
        return position_set(rule_of("factor").select({.masked = masked,
                                                      .numbers = numbers_of({{"factor", f}}),
                                                      .query = {0, 64},
                                                      .correct = correct},
                                                     candidates));
      };
      const auto fewer = of(factor);
      const auto more = of(factor * (1 + generator.unit()));
      ASSERT_TRUE(std::includes(more.begin(), more.end(), fewer.begin(), fewer.end()));
    }
  }
}

TEST(RuleProperties, TheCorrectFactorRuleKeepsThePapersBound) {
  Generator generator(24);
  for (int i = 0; i < 5000; ++i) {
    const auto candidates = random_candidates(generator);
    const auto masked = testing::positions_of(candidates);
    const double factor = 2 * generator.unit() + 0.01;
    const auto factors = numbers_of({{"factor", factor}});
    const auto chosen = rule_of("factor").select(
        {.masked = masked, .numbers = factors, .query = {0, 64}, .correct = true}, candidates);
    ASSERT_GE(chosen.size(), 1u);
    const auto n = static_cast<double>(chosen.size());
    if (chosen.size() > 1) {
      ASSERT_LE((n + 1) * (1 - chosen.back().confidence), factor + 1e-12);
    }
    // The faithful walk commits the same, or all where just one would have been left.
    const auto faithful = rule_of("factor").select(
        {.masked = masked, .numbers = factors, .query = {0, 64}}, candidates);
    ASSERT_EQ(faithful.size(),
              chosen.size() + 1 == candidates.size() ? candidates.size() : chosen.size());
  }
}

TEST(RuleProperties, TheReferencesOrderDiffersOnlyAmongEqualConfidences) {
  Generator generator(26);
  for (int i = 0; i < 3000; ++i) {
    const auto candidates = random_candidates(generator);
    const auto masked = testing::positions_of(candidates);
    const auto numbers = numbers_of({{"alg_temp", 0}});
    UnmaskContext context = {
        .masked = masked, .numbers = numbers, .query = {0, 64}, .index = 0, .steps = 2};
    if (i % 2 == 1) context.query.end = 4096;  // where torch sorts partially
    const auto faithful = rule_of("maskgit_plus").select(context, candidates);
    ASSERT_EQ(position_set(faithful).size(), faithful.size());
    context.correct = true;
    const auto correct = rule_of("maskgit_plus").select(context, candidates);
    ASSERT_EQ(faithful.size(), correct.size());
    for (std::size_t k = 0; k < correct.size(); ++k) {
      ASSERT_EQ(faithful[k].confidence, correct[k].confidence);
      ASSERT_EQ(faithful[k].confidence, candidates[faithful[k].position].confidence);
    }
  }
}

TEST(RuleProperties, ACandidateOutsideTheForwardIsABrokenInvariant) {
  const auto candidates = testing::candidates_of({0.1, 0.2, 0.3});
  const auto masked = testing::positions_of(candidates);
  for (const Range query : {Range{0, 2}, Range{1, 3}, Range{}}) {
    EXPECT_THROW(rule_of("maskgit_plus")
                     .select({.masked = masked,
                              .numbers = numbers_of({{"alg_temp", 0}}),
                              .query = query,
                              .steps = 1},
                             candidates),
                 Error);
  }
}

TEST(RuleProperties, CommitOrderIsByConfidenceThenPosition) {
  Generator generator(25);
  for (int i = 0; i < 3000; ++i) {
    const auto candidates = random_candidates(generator);
    const auto masked = testing::positions_of(candidates);
    const auto count = static_cast<std::int32_t>(masked.size());
    const auto numbers = numbers_of({{"threshold", generator.unit()},
                                     {"factor", 1},
                                     {"alg_temp", 0},
                                     {"tokens_per_forward", 1 + 6 * generator.unit()}});
    const UnmaskContext context = {.masked = masked,
                                   .numbers = numbers,
                                   .query = {0, 64},
                                   .initial_masked = count,
                                   .index = generator.integer(0, 3),
                                   .steps = 4,
                                   .correct = true};
    for (const UnmaskRule* rule : {&rule_of("threshold"), &rule_of("quota"), &rule_of("factor"),
                                   &rule_of("maskgit_plus"), &rule_of("tokens_per_forward")}) {
      const auto chosen = rule->select(context, candidates);
      const auto positions = position_set(chosen);
      ASSERT_EQ(positions.size(), chosen.size());
      for (std::size_t k = 1; k < chosen.size(); ++k) {
        ASSERT_TRUE(chosen[k - 1].confidence > chosen[k].confidence ||
                    (chosen[k - 1].confidence == chosen[k].confidence &&
                     chosen[k - 1].position < chosen[k].position));
      }
      // None that is left out is more confident than one that is committed.
      for (const Candidate& candidate : candidates) {
        if (!positions.contains(candidate.position) && !chosen.empty()) {
          ASSERT_LE(candidate.confidence, chosen.back().confidence);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fdllm
