#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"
#include "decode/unmask/family_habits.h"

namespace fdllm {
namespace {

using testing::candidates_of;
using testing::numbers_of;
using testing::positions_of;
using testing::rule_of;
using Positions = std::vector<std::int32_t>;

TEST(UnmaskRules, HaveNamesOfTheirOwn) {
  for (const UnmaskRule* rule : unmask_rules()) {
    EXPECT_EQ(&rule_of(rule->name), rule);
    EXPECT_TRUE(rule->quota != nullptr && rule->select != nullptr);
  }
}

TEST(UnmaskRules, EveryNumberThatChoosesNoRuleHasADefault) {
  for (const UnmaskRule* rule : unmask_rules()) {
    for (const RuleNumber* number : rule->numbers) {
      EXPECT_TRUE(number->otherwise.has_value()) << rule->name << " " << number->name;
    }
  }
  for (const RuleNumber* number : rule_numbers()) {
    EXPECT_EQ(find_rule_number(number->name), number);
    EXPECT_FALSE(number->help.empty());
    EXPECT_TRUE(number->range.contains(number->otherwise.value_or(number->range.greatest)));
  }
}

TEST(UnmaskRules, ServeTheFamilyThatTheyNameOrAll) {
  EXPECT_EQ(rules_of(ReferenceFamily::kLlada).front()->name, "threshold");
  EXPECT_EQ(rules_of(ReferenceFamily::kDream).front()->name, "confidence_threshold");
  EXPECT_EQ(rules_of(ReferenceFamily::kLlada).size(), 8u);
  EXPECT_EQ(rules_of(ReferenceFamily::kDream).size(), 10u);
}

TEST(UnmaskRules, TakeTheirOwnMeasureOfAScore) {
  Score score;
  score.confidence = 0.1;
  score.filtered_confidence = 0.2;
  score.margin = 0.3;
  score.entropy = -0.4;
  EXPECT_EQ(measured(rule_of("threshold").measure, score), 0.1);
  EXPECT_EQ(measured(rule_of("quota").measure, score), 0.1);
  EXPECT_EQ(measured(rule_of("factor").measure, score), 0.1);
  EXPECT_EQ(measured(rule_of("topk_margin").measure, score), 0.3);
  EXPECT_EQ(measured(rule_of("entropy").measure, score), -0.4);
}

TEST(DreamScheduled, CommitsTheScheduledNumber) {
  const std::vector<Candidate> candidates = candidates_of({-2.0, -0.5, -1.0, -0.1, -3.0, -0.2});
  const Positions masked = positions_of(candidates);
  // 1 - s/t of the first of two steps is 0.4995: 2 of 6.
  const auto numbers = numbers_of({{"alg_temp", 0}});
  UnmaskContext context = {.masked = masked,
                           .numbers = numbers,
                           .query = {0, 64},
                           .initial_masked = 6,
                           .index = 0,
                           .steps = 2};
  EXPECT_EQ(rule_of("entropy").quota(context), 2);
  EXPECT_EQ(positions_of(rule_of("entropy").select(context, candidates)), (Positions{3, 5}));
  context.index = 1;
  EXPECT_EQ(rule_of("entropy").select(context, candidates).size(), 6u);
}

TEST(DreamScheduled, AlgTempDrawsInProportionToTheSoftmax) {
  const std::vector<double> confidences = {0.2, 0.6, 0.4};
  const std::vector<Candidate> candidates = candidates_of(confidences);
  const Positions masked = positions_of(candidates);
  constexpr double kTemperature = 0.5;
  const auto numbers = numbers_of({{"alg_temp", kTemperature}});
  double total = 0;
  for (const double confidence : confidences) total += std::exp(confidence / kTemperature);
  constexpr int kDraws = 20000;
  std::map<std::int32_t, int> first;
  for (int i = 0; i < kDraws; ++i) {
    const UnmaskContext context = {.masked = masked,
                                   .numbers = numbers,
                                   .query = {0, 64},
                                   .initial_masked = 3,
                                   .index = 0,
                                   .steps = 2,
                                   .seed = 5,
                                   .step = i};
    const auto chosen = rule_of("maskgit_plus").select(context, candidates);
    ASSERT_EQ(chosen.size(), 1u);
    EXPECT_EQ(chosen[0].confidence, confidences[chosen[0].position]);
    EXPECT_EQ(chosen[0].token, chosen[0].position);
    ++first[chosen[0].position];
  }
  for (std::int32_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(first[i] / double{kDraws}, std::exp(confidences[i] / kTemperature) / total, 0.015);
  }
}

TEST(DreamScheduled, ASmallAlgTempIsTheRanking) {
  const std::vector<Candidate> candidates = candidates_of({0.2, 0.6, 0.4, 0.9});
  const Positions masked = positions_of(candidates);
  const auto numbers = numbers_of({{"alg_temp", 1e-4}});
  const UnmaskContext context = {.masked = masked,
                                 .numbers = numbers,
                                 .query = {0, 64},
                                 .initial_masked = 4,
                                 .index = 1,
                                 .steps = 2};
  EXPECT_EQ(positions_of(rule_of("maskgit_plus").select(context, candidates)),
            (Positions{3, 1, 2, 0}));
}

TEST(DreamOrigin, ChoosesEachWithTheStepsShare) {
  Positions masked(10000);
  std::vector<Candidate> candidates;
  for (std::int32_t i = 0; i < 10000; ++i) {
    masked[i] = i;
    candidates.push_back({i, 1, 0.5});
  }
  UnmaskContext context = {.masked = masked,
                           .query = {0, 64},
                           .initial_masked = 10000,
                           .index = 0,
                           .steps = 4,
                           .seed = 3};
  EXPECT_NEAR(rule_of("origin").quota(context), 2497.5, 150);
  EXPECT_EQ(rule_of("origin").select(context, candidates).size(),
            static_cast<std::size_t>(rule_of("origin").quota(context)));
  context.index = 3;
  EXPECT_EQ(rule_of("origin").quota(context), 10000);
}

TEST(DreamConfidenceThreshold, WithoutAScheduleIsTheThresholdRule) {
  const std::vector<Candidate> candidates = candidates_of({0.95, 0.1, 0.9, 0.99});
  const Positions masked = positions_of(candidates);
  const auto numbers = numbers_of({{"threshold", 0.9}});
  const UnmaskContext context = {
      .masked = masked, .numbers = numbers, .query = {0, 64}, .initial_masked = 4};
  EXPECT_EQ(positions_of(rule_of("confidence_threshold").select(context, candidates)),
            (Positions{3, 0, 2}));
}

TEST(DreamConfidenceThreshold, StaysWithinTheBudgetAndCarriesWhatIsUnused) {
  const std::vector<Candidate> sure = candidates_of({0.95, 0.96, 0.97, 0.98, 0.99, 0.94, 0.93});
  const Positions masked = positions_of(sure);
  // 8 over 4 steps: 2 a step; one was committed in step 0, so step 1 may commit 3.
  auto numbers = numbers_of({{"threshold", 0.9}});
  UnmaskContext context = {.masked = masked,
                           .numbers = numbers,
                           .query = {0, 64},
                           .initial_masked = 8,
                           .index = 1,
                           .steps = 4};
  EXPECT_EQ(positions_of(rule_of("confidence_threshold").select(context, sure)),
            (Positions{4, 3, 2}));
  const std::vector<Candidate> unsure = candidates_of({0.1, 0.2, 0.3, 0.95, 0.5, 0.6, 0.7});
  EXPECT_EQ(positions_of(rule_of("confidence_threshold").select(context, unsure)), (Positions{3}));
  context.index = 7;  // past the schedule: all that reach it, and at least one
  EXPECT_EQ(rule_of("confidence_threshold").quota(context), 7);
  EXPECT_EQ(rule_of("confidence_threshold").select(context, sure).size(), 7u);
  numbers.front().value = 1.0;
  EXPECT_EQ(positions_of(rule_of("confidence_threshold").select(context, sure)), (Positions{4}));
}

}  // namespace
}  // namespace fdllm
