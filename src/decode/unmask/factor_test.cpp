#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::candidates_of;
using testing::numbers_of;
using testing::positions_of;
using testing::rule_of;

std::size_t count(const std::vector<double>& confidences, double factor, bool correct = false) {
  const std::vector<Candidate> candidates = candidates_of(confidences);
  const std::vector<std::int32_t> masked = positions_of(candidates);
  const auto numbers = numbers_of({{"factor", factor}});
  const UnmaskContext context = {.masked = masked, .numbers = numbers, .correct = correct};
  return rule_of("factor").select(context, candidates).size();
}

// With factor 1 the bars of ranks 2, 3, 4, 5 are 2/3, 3/4, 4/5, 5/6.

TEST(Factor, StopsBeforeTheFirstThatFails) {
  EXPECT_EQ(count({0.9, 0.7, 0.76, 0.9, 0.1}, 1.0), 3u);  // 0.9, 0.9, 0.76, then 0.7 < 0.8
  EXPECT_EQ(count({0.9, 0.6, 0.5, 0.4, 0.3}, 1.0), 1u);
  EXPECT_EQ(count({0.5, 0.1, 0.1, 0.1}, 1.0), 1u);
}

TEST(Factor, OneOrTwoAreAlwaysCommitted) {
  EXPECT_EQ(count({0.01}, 1.0), 1u);
  EXPECT_EQ(count({0.01, 0.02}, 1.0), 2u);
  EXPECT_EQ(count({}, 1.0), 0u);
}

TEST(Factor, NoFailureCommitsAll) {
  EXPECT_EQ(count({0.99, 0.98, 0.97, 0.96}, 1.0), 4u);
}

TEST(Factor, AFailureAtTheLastRankIsCommittedToo) {
  EXPECT_EQ(count({0.99, 0.98, 0.97, 0.1}, 1.0), 4u);
  EXPECT_EQ(count({0.99, 0.98, 0.1, 0.1}, 1.0), 2u);
}

TEST(Factor, CorrectLeavesTheFailingTokenMasked) {
  EXPECT_EQ(count({0.99, 0.98, 0.97, 0.1}, 1.0, true), 3u);
  EXPECT_EQ(count({0.02, 0.01}, 1.0, true), 1u);
  EXPECT_EQ(count({0.01}, 1.0, true), 1u);
  EXPECT_EQ(count({0.99, 0.98, 0.97, 0.96}, 1.0, true), 4u);
  EXPECT_EQ(count({}, 1.0, true), 0u);
}

TEST(Factor, ExactlyTheBarPasses) {
  // 1 - 1/(3 + 1) is exact.
  EXPECT_EQ(count({1.0, 1.0, 0.75, 0.1, 0.1}, 1.0), 3u);
  EXPECT_EQ(count({1.0, 1.0, 0.7499, 0.1, 0.1}, 1.0), 2u);
}

TEST(Factor, ALargeFactorCommitsAll) {
  EXPECT_EQ(count({0.1, 0.1, 0.1, 0.1}, 100.0), 4u);
}

}  // namespace
}  // namespace fdllm
