#include <gtest/gtest.h>

#include "decode/decode_testing.h"
#include "decode/unmask/rules.h"

namespace fdllm {
namespace {

using testing::candidates_of;
using testing::positions_of;
using Quotas = std::vector<std::int32_t>;

/// What the forwards of a block of `length` tokens commit; `first` > 0: the first one so many.
Quotas quotas(double rate, std::int32_t length, std::int32_t first = 0) {
  Quotas result;
  std::int32_t left = length;
  for (std::int32_t index = 0; left > 0 && index < length; ++index) {
    const std::vector<std::int32_t> masked(static_cast<std::size_t>(left));
    const UnmaskContext context = {
        .masked = masked, .initial_masked = length, .index = index, .tokens_per_forward = rate};
    const std::int32_t quota = kTokensPerForwardRule.quota(context);
    EXPECT_EQ(quota, kDreamTokensPerForwardRule.quota(context));
    result.push_back(index == 0 && first > 0 ? first : quota);
    left -= result.back();
  }
  return result;
}

TEST(TokensPerForward, WholeRatesAreTheSameEveryForward) {
  EXPECT_EQ(quotas(1, 4), (Quotas{1, 1, 1, 1}));
  EXPECT_EQ(quotas(2, 8), (Quotas{2, 2, 2, 2}));
  EXPECT_EQ(quotas(3, 8), (Quotas{3, 3, 2}));
  EXPECT_EQ(quotas(100, 8), (Quotas{8}));
}

TEST(TokensPerForward, FractionsCommitTheFloorOfAllForwardsSoFar) {
  EXPECT_EQ(quotas(3.25, 32), (Quotas{3, 3, 3, 4, 3, 3, 3, 4, 3, 3}));
  EXPECT_EQ(quotas(1.5, 6), (Quotas{1, 2, 1, 2}));
}

TEST(TokensPerForward, CatchesUpWithAForwardThatCommittedFewer) {
  EXPECT_EQ(quotas(3.25, 32, 1), (Quotas{1, 5, 3, 4, 3, 3, 3, 4, 3, 3}));
}

TEST(TokensPerForward, CommitsOneWhereMoreThanItsShareIsDone) {
  EXPECT_EQ(quotas(1, 6, 3), (Quotas{3, 1, 1, 1}));
}

TEST(TokensPerForward, TheMostConfidentComeFirstThenTheLowestPosition) {
  const std::vector<Candidate> candidates = candidates_of({0.1, 0.4, 0.2, 0.4, 0.0});
  const std::vector<std::int32_t> masked = positions_of(candidates);
  const UnmaskContext context = {
      .masked = masked, .initial_masked = 5, .index = 0, .tokens_per_forward = 3.9};
  for (const UnmaskRule* rule : {&kTokensPerForwardRule, &kDreamTokensPerForwardRule}) {
    EXPECT_EQ(positions_of(rule->select(context, candidates)),
              (std::vector<std::int32_t>{1, 3, 2}));
  }
}

}  // namespace
}  // namespace fdllm
