#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::candidates_of;
using testing::numbers_of;
using testing::positions_of;
using testing::rule_of;
using Quotas = std::vector<std::int32_t>;

/// What the forwards of a block of `length` tokens commit; `first` > 0: the first one so many.
Quotas quotas(double rate, std::int32_t length, std::int32_t first = 0) {
  Quotas result;
  std::int32_t left = length;
  for (std::int32_t index = 0; left > 0 && index < length; ++index) {
    const std::vector<std::int32_t> masked(static_cast<std::size_t>(left));
    const auto numbers = numbers_of({{"tokens_per_forward", rate}});
    const UnmaskContext context = {
        .masked = masked, .numbers = numbers, .initial_masked = length, .index = index};
    const std::int32_t quota = rule_of("tokens_per_forward").quota(context);
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
  const auto numbers = numbers_of({{"tokens_per_forward", 3.9}});
  const UnmaskContext context = {
      .masked = masked, .numbers = numbers, .initial_masked = 5, .index = 0};
  EXPECT_EQ(positions_of(rule_of("tokens_per_forward").select(context, candidates)),
            (std::vector<std::int32_t>{1, 3, 2}));
}

}  // namespace
}  // namespace fdllm
