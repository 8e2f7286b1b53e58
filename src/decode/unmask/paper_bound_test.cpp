// The paper's theorem 1 on synthetic joint distributions: where each of n tokens has a marginal
// confidence above 1 - e and (n + 1) e <= 1, committing all of them at once (by their marginals) is
// what greedy decoding one by one (by conditionals) gives. The rules of this engine choose n.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::numbers_of;
using testing::rule_of;

/// p(x) of `positions` tokens below `vocab`, as a table of vocab^positions entries.
class Joint {
 public:
  Joint(std::int32_t positions, std::int32_t vocab)
      : positions_(positions),
        vocab_(vocab),
        mass_(static_cast<std::size_t>(std::lround(std::pow(vocab, positions)))) {}

  std::int32_t positions() const { return positions_; }
  std::int32_t vocab() const { return vocab_; }
  double& operator[](std::size_t state) { return mass_[state]; }
  std::size_t states() const { return mass_.size(); }
  std::size_t state_of(const std::vector<std::int32_t>& tokens) const {
    std::size_t state = 0;
    for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
      state = state * static_cast<std::size_t>(vocab_) + static_cast<std::size_t>(*token);
    }
    return state;
  }
  void normalise() {
    const double sum = std::accumulate(mass_.begin(), mass_.end(), 0.0);
    for (double& mass : mass_) mass /= sum;
  }

  /// The likeliest token of a position given those that are known (-1: not), and its probability.
  Candidate likeliest(std::int32_t position, const std::vector<std::int32_t>& known) const {
    std::vector<double> weights(static_cast<std::size_t>(vocab_));
    for (std::size_t state = 0; state < mass_.size(); ++state) {
      std::vector<std::int32_t> tokens;
      std::size_t rest = state;
      for (std::int32_t i = 0; i < positions_; ++i) {
        tokens.push_back(static_cast<std::int32_t>(rest % static_cast<std::size_t>(vocab_)));
        rest /= static_cast<std::size_t>(vocab_);
      }
      const bool agrees = std::equal(
          known.begin(), known.end(), tokens.begin(),
          [](std::int32_t wanted, std::int32_t token) { return wanted < 0 || wanted == token; });
      if (agrees) weights[static_cast<std::size_t>(tokens[position])] += mass_[state];
    }
    const auto best = std::max_element(weights.begin(), weights.end());
    return {position, static_cast<std::int32_t>(best - weights.begin()),
            *best / std::accumulate(weights.begin(), weights.end(), 0.0)};
  }

  std::vector<Candidate> marginals() const {
    std::vector<Candidate> candidates;
    const std::vector<std::int32_t> unknown(static_cast<std::size_t>(positions_), -1);
    for (std::int32_t i = 0; i < positions_; ++i) candidates.push_back(likeliest(i, unknown));
    return candidates;
  }

 private:
  std::int32_t positions_, vocab_;
  std::vector<double> mass_;
};

/// The tokens of `positions`, decoded greedily one after the other in that order.
std::vector<std::int32_t> decode_one_by_one(const Joint& joint,
                                            const std::vector<std::int32_t>& positions) {
  std::vector<std::int32_t> known(static_cast<std::size_t>(joint.positions()), -1);
  for (const std::int32_t position : positions) {
    known[static_cast<std::size_t>(position)] = joint.likeliest(position, known).token;
  }
  return known;
}

std::vector<Candidate> select(const UnmaskRule& rule, const std::vector<Candidate>& candidates,
                              double factor, double threshold, bool correct = true) {
  std::vector<std::int32_t> masked;
  for (const Candidate& candidate : candidates) masked.push_back(candidate.position);
  UnmaskContext context;
  context.masked = masked;
  context.initial_masked = context.masked_count();
  const auto numbers = numbers_of({{"factor", factor}, {"threshold", threshold}});
  context.numbers = numbers;
  context.correct = correct;
  return rule.select(context, candidates);
}

/// Whether committing `selected` at once equals decoding its positions in every order tried.
bool equals_one_by_one(const Joint& joint, const std::vector<Candidate>& selected,
                       std::mt19937& random) {
  std::vector<std::int32_t> order;
  for (const Candidate& candidate : selected) order.push_back(candidate.position);
  for (int round = 0; round < 4; ++round) {  // the first is the order of confidence
    const auto tokens = decode_one_by_one(joint, order);
    for (const Candidate& candidate : selected) {
      if (tokens[static_cast<std::size_t>(candidate.position)] != candidate.token) return false;
    }
    std::shuffle(order.begin(), order.end(), random);
  }
  return true;
}

/// Anything from nearly independent to a single likely sequence. Half of them are of the worst
/// kind: all that is not the likely sequence differs from it in one token only.
Joint random_joint(std::mt19937& random) {
  const auto integer = [&](std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(random);
  };
  const auto uniform = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
  const std::int32_t positions = integer(2, 5);
  Joint joint(positions, integer(2, 3));
  std::vector<std::int32_t> likely;
  for (std::int32_t i = 0; i < positions; ++i) likely.push_back(integer(0, joint.vocab() - 1));
  if (integer(0, 1) == 0) {
    double left = 1;
    for (std::int32_t i = 0; i < positions; ++i) {
      std::vector<std::int32_t> other = likely;
      other[static_cast<std::size_t>(i)] =
          (likely[static_cast<std::size_t>(i)] + 1) % joint.vocab();
      const double mass = (0.6 + 0.45 * uniform()) / (positions + 1);
      joint[joint.state_of(other)] += mass;
      left -= mass;
    }
    joint[joint.state_of(likely)] += std::max(left, 0.0);
  } else {
    const double sharpness = 1 + 6 * uniform();
    for (std::size_t state = 0; state < joint.states(); ++state) {
      joint[state] = std::pow(uniform(), sharpness);
    }
    joint.normalise();
    joint[joint.state_of(likely)] += 12 * uniform();
  }
  joint.normalise();
  return joint;
}

TEST(PaperBound, FactorOneCommitsWhatDecodingOneByOneGives) {
  int several = 0, tight = 0;
  for (std::uint32_t seed = 0; seed < 4000; ++seed) {
    std::mt19937 random(seed);
    const Joint joint = random_joint(random);
    const auto selected = select(rule_of("factor"), joint.marginals(), 1.0, 0);
    ASSERT_FALSE(selected.empty());
    const auto count = static_cast<double>(selected.size());
    const double bound = (count + 1) * (1 - selected.back().confidence);
    if (selected.size() > 1) {
      ASSERT_LE(bound, 1 + 1e-12) << seed;
      if (bound > 1 - 1e-9) continue;  // a tie of two sequences
      ++several;
      tight += bound > 0.9;
    }
    ASSERT_TRUE(equals_one_by_one(joint, selected, random)) << "seed " << seed;
  }
  EXPECT_GT(several, 1000);
  EXPECT_GT(tight, 100);
}

TEST(PaperBound, ThresholdCommitsWhatDecodingOneByOneGives) {
  int several = 0;
  for (std::uint32_t seed = 0; seed < 4000; ++seed) {
    std::mt19937 random(seed);
    const Joint joint = random_joint(random);
    // With e = 1 / (n + 1) for all n positions, any number of them may be committed.
    const double threshold = joint.positions() / (joint.positions() + 1.0) + 1e-9;
    const auto selected = select(rule_of("threshold"), joint.marginals(), 0, threshold);
    ASSERT_TRUE(equals_one_by_one(joint, selected, random)) << "seed " << seed;
    several += selected.size() > 1;
  }
  EXPECT_GT(several, 500);
}

/// n sequences of mass e that differ from the likely one in one token each: with (n + 1) e a little
/// above 1 they are likelier than it, though every marginal still prefers its tokens.
Joint tight_joint(std::int32_t positions, double e) {
  Joint joint(positions, 2);
  for (std::int32_t i = 0; i < positions; ++i) joint[std::size_t{1} << i] = e;
  joint[0] = 1 - positions * e;
  return joint;
}

TEST(PaperBound, IsTight) {
  std::mt19937 random(1);
  for (std::int32_t n = 2; n <= 8; ++n) {
    const Joint inside = tight_joint(n, 0.999 / (n + 1));
    const auto all = select(rule_of("factor"), inside.marginals(), 1.0, 0);
    EXPECT_EQ(std::ssize(all), n);
    EXPECT_TRUE(equals_one_by_one(inside, all, random)) << n;

    const double e = 1.001 / (n + 1);
    const Joint outside = tight_joint(n, e);
    const auto marginals = outside.marginals();
    for (const Candidate& candidate : marginals) EXPECT_EQ(candidate.token, 0);
    EXPECT_FALSE(equals_one_by_one(outside, marginals, random)) << n;
    // Factor 1 keeps to the bound; a larger one, or a lower threshold, goes beyond it and errs.
    const auto kept = select(rule_of("factor"), marginals, 1.0, 0);
    EXPECT_LT(std::ssize(kept), n);
    EXPECT_TRUE(equals_one_by_one(outside, kept, random)) << n;
    const auto bold = select(rule_of("factor"), marginals, 1.01, 0);
    EXPECT_EQ(std::ssize(bold), n);
    EXPECT_FALSE(equals_one_by_one(outside, bold, random)) << n;
    EXPECT_FALSE(
        equals_one_by_one(outside, select(rule_of("threshold"), marginals, 0, 1 - e), random));
  }
}

TEST(PaperBound, IsBrokenByTheReferencesLastToken) {
  // Of two masks the reference's factor walk commits both, whatever their confidences.
  std::mt19937 random(1);
  const Joint joint = tight_joint(2, 0.4);
  const auto marginals = joint.marginals();
  const auto faithful = select(rule_of("factor"), marginals, 1.0, 0, false);
  EXPECT_EQ(faithful.size(), 2u);
  EXPECT_FALSE(equals_one_by_one(joint, faithful, random));
  EXPECT_EQ(select(rule_of("factor"), marginals, 1.0, 0, true).size(), 1u);
}

}  // namespace
}  // namespace fdllm
