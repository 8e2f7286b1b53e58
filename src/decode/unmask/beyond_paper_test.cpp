// The rules beyond the paper: frechet, entropy_bound, margin, local_leap; and early commit.
#include <algorithm>
#include <cmath>
#include <random>

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

Positions frechet(const std::vector<double>& confidences, double margin) {
  return positions_of(rule_of("frechet").select(
      {.masked = {}, .numbers = numbers_of({{"frechet", margin}})}, candidates_of(confidences)));
}

TEST(Frechet, CommitsWhileTheBoundExceedsWhatACompetitorMayHave) {
  // Of three: 1 - (0.01 + 0.1 + 0.2) = 0.69 against 0.2. Of four: 0.19 against 0.5.
  EXPECT_EQ(frechet({0.8, 0.99, 0.5, 0.9}, 0.0), (Positions{1, 3, 0}));
  EXPECT_EQ(frechet({0.8, 0.99, 0.5, 0.9}, 0.48), (Positions{1, 3, 0}));
  EXPECT_EQ(frechet({0.8, 0.99, 0.5, 0.9}, 0.5), (Positions{1, 3}));
}

TEST(Frechet, AlwaysCommitsOne) {
  EXPECT_EQ(frechet({0.01, 0.02}, 1.0), (Positions{1}));
  EXPECT_EQ(frechet({}, 0.0), Positions{});
}

TEST(Frechet, OfEqualConfidencesIsTheFactorRule) {
  // (n + 1) (1 - c) < 1 - margin; c of halves of halves makes all sums exact.
  for (const double doubt : {1.0 / 8, 1.0 / 16, 1.0 / 64}) {
    for (const double margin : {0.0, 0.25, 0.5}) {
      const std::size_t count = frechet(std::vector<double>(200, 1 - doubt), margin).size();
      std::size_t expected = 1;
      while (expected < 200 && static_cast<double>(expected + 2) * doubt < 1 - margin) ++expected;
      EXPECT_EQ(count, expected) << doubt << " " << margin;
    }
  }
}

TEST(Frechet, TheCommittedAreTheMostLikelyChoiceOfAnyJoint) {
  // The theorem, on random joints of three tokens of three values: where more than one is
  // committed, the committed values are the joint's most likely ones.
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> unit(0, 1);
  int together = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::vector<double> joint(27);
    double sum = 0;
    for (double& p : joint) sum += p = std::pow(unit(random), 8);
    joint[0] += sum * unit(random) * 8;
    sum = 0;
    for (const double p : joint) sum += p;
    std::vector<Candidate> candidates;
    for (std::int32_t position = 0; position < 3; ++position) {
      double marginal[3] = {};
      for (int i = 0; i < 27; ++i) {
        const int digits[3] = {i % 3, i / 3 % 3, i / 9};
        marginal[digits[position]] += joint[i] / sum;
      }
      const auto best =
          static_cast<std::int32_t>(std::max_element(marginal, marginal + 3) - marginal);
      candidates.push_back({position, best, marginal[best]});
    }
    const auto chosen = rule_of("frechet").select(
        {.masked = {}, .numbers = numbers_of({{"frechet", 0}})}, candidates);
    if (chosen.size() < 2) continue;
    ++together;
    // Marginalise the joint over the positions that are not committed.
    std::vector<double> shared(27, 0.0);
    for (int i = 0; i < 27; ++i) {
      const int digits[3] = {i % 3, i / 3 % 3, i / 9};
      int key = 0;
      for (const Candidate& c : chosen) key = 3 * key + digits[c.position];
      shared[key] += joint[i];
    }
    int committed = 0;
    for (const Candidate& c : chosen) committed = 3 * committed + c.token;
    ASSERT_EQ(std::max_element(shared.begin(), shared.end()) - shared.begin(), committed);
  }
  EXPECT_GT(together, 300);
}

TEST(EntropyBound, CountsAllButTheLargest) {
  const auto chosen = [](const std::vector<double>& entropies, double bound) {
    std::vector<double> confidences;
    for (const double entropy : entropies) confidences.push_back(-entropy);
    return positions_of(
        rule_of("entropy_bound")
            .select({.masked = {}, .numbers = numbers_of({{"entropy_bound", bound}})},
                    candidates_of(confidences)));
  };
  EXPECT_EQ(chosen({2.0, 0.25, 0.5, 3.0}, 0.0), (Positions{1}));
  EXPECT_EQ(chosen({2.0, 0.25, 0.5, 3.0}, 0.25), (Positions{1, 2}));
  EXPECT_EQ(chosen({2.0, 0.25, 0.5, 3.0}, 0.75), (Positions{1, 2, 0}));
  EXPECT_EQ(chosen({2.0, 0.25, 0.5, 3.0}, 2.75), (Positions{1, 2, 0, 3}));
  // Certain tokens cost nothing, and the first uncertain one comes with them.
  EXPECT_EQ(chosen({0.0, 5.0, 0.0, 6.0}, 0.0), (Positions{0, 2, 1}));
}

TEST(Margin, CommitsTheFirstAndAllThatReachIt) {
  const auto chosen = [](double margin) {
    return positions_of(
        rule_of("margin").select({.masked = {}, .numbers = numbers_of({{"margin", margin}})},
                                 candidates_of({0.5, 0.7, 0.6})));
  };
  EXPECT_EQ(chosen(0.6), (Positions{1, 2}));
  EXPECT_EQ(chosen(0.9), (Positions{1}));
  EXPECT_EQ(rule_of("margin").measure, Measure::kMargin);
}

TEST(LocalLeap, TakesLowerConfidencesOnlyNearAnAnchor) {
  const auto chosen = [](const std::vector<double>& confidences) {
    return positions_of(
        rule_of("local_leap")
            .select({.masked = {},
                     .numbers = numbers_of({{"threshold", 0.9}, {"relaxed_threshold", 0.75}})},
                    candidates_of(confidences)));
  };
  // Position 4 is an anchor: 0 and 8 are within its reach, 9 is not, 5 is too low.
  EXPECT_EQ(chosen({0.8, 0.1, 0.1, 0.1, 0.95, 0.7, 0.1, 0.1, 0.76, 0.8}), (Positions{4, 0, 8}));
  // Without an anchor there is just the most confident.
  EXPECT_EQ(chosen({0.8, 0.89, 0.85}), (Positions{1}));
}

TEST(FamilyHabits, DreamGoesByTheFilteredProbability) {
  const Score score{.confidence = 0.3, .filtered_confidence = 0.8, .margin = 0.2, .entropy = -1};
  EXPECT_EQ(measured(habits_of(ReferenceFamily::kLlada).probability, score), 0.3);
  EXPECT_EQ(measured(habits_of(ReferenceFamily::kDream).probability, score), 0.8);
}

TEST(EarlyCommit, NeedsEveryLead) {
  const std::vector<Score> scores = {Score{.margin = 0.9}, Score{.margin = 0.5}};
  const UnmaskModifier& early = *unmask_modifiers().front();
  EXPECT_EQ(early.number->name, "early_commit");
  EXPECT_TRUE(early.commits_all(scores, 0.5));
  EXPECT_FALSE(early.commits_all(scores, 0.51));
}

}  // namespace
}  // namespace fdllm
