#include "decode/schedule.h"

#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

std::vector<std::int32_t> shares(std::int32_t masked, std::int32_t steps) {
  std::vector<std::int32_t> result(steps);
  for (std::int32_t i = 0; i < steps; ++i) result[i] = equal_share(masked, i, steps);
  return result;
}

/// Dream's quotas of a whole schedule in which each is committed.
std::vector<std::int32_t> quotas(std::int32_t masked, std::int32_t steps) {
  std::vector<std::int32_t> result;
  for (std::int32_t i = 0; i < steps; ++i) {
    result.push_back(dream_quota(masked, i, steps));
    masked -= result.back();
  }
  return result;
}

TEST(EqualShare, TheRemainderGoesToTheFirstSteps) {
  EXPECT_EQ(shares(32, 5), (std::vector<std::int32_t>{7, 7, 6, 6, 6}));
  EXPECT_EQ(shares(32, 32), std::vector<std::int32_t>(32, 1));
  EXPECT_EQ(shares(3, 5), (std::vector<std::int32_t>{1, 1, 1, 0, 0}));
  EXPECT_EQ(shares(0, 2), (std::vector<std::int32_t>{0, 0}));
  EXPECT_EQ(equal_share(32, 5, 5), 0);
}

TEST(DreamTime, RunsFromOneToAThousandth) {
  EXPECT_EQ(dream_time(0, 8), 1.0f);
  EXPECT_EQ(dream_time(8, 8), 1e-3f);
  EXPECT_NEAR(dream_time(4, 8), 0.5005f, 1e-6f);
  for (std::int32_t i = 0; i < 8; ++i) EXPECT_GT(dream_time(i, 8), dream_time(i + 1, 8));
}

TEST(DreamTime, IsComputedFromBothEnds) {
  // Values of torch.linspace(1, 1e-3, steps + 1), which differ from the other end's in the last
  // bit.
  EXPECT_EQ(dream_time(1, 6), 0x1.aac084p-1f);
  EXPECT_EQ(dream_time(1, 2), 0x1.00418ap-1f);
  EXPECT_EQ(dream_time(3, 5), 0x1.9a36e2p-2f);
}

TEST(DreamQuota, AsManyStepsAsPositionsBeginWithAnIdleStep) {
  std::vector<std::int32_t> expected(256, 1);
  expected.front() = 0;
  expected.back() = 2;
  EXPECT_EQ(quotas(256, 256), expected);
}

TEST(DreamQuota, HalfAsManyStepsAsPositions) {
  std::vector<std::int32_t> expected(32, 2);
  expected.front() = 1;
  expected.back() = 3;
  EXPECT_EQ(quotas(64, 32), expected);
}

TEST(DreamQuota, TheLastStepTakesAllThatIsLeft) {
  EXPECT_EQ(dream_quota(17, 0, 1), 17);
  EXPECT_EQ(dream_quota(17, 4, 5), 17);
  EXPECT_EQ(dream_quota(17, 9, 5), 17);
}

TEST(DreamQuota, NeverExceedsWhatIsMasked) {
  for (std::int32_t steps = 1; steps <= 80; ++steps) {
    for (std::int32_t masked = 0; masked <= 80; ++masked) {
      for (std::int32_t i = 0; i < steps; ++i) {
        const std::int32_t quota = dream_quota(masked, i, steps);
        ASSERT_GE(quota, 0);
        ASSERT_LE(quota, masked);
      }
    }
  }
}

TEST(CarriedBudget, GrowsByAnEqualShareAStep) {
  EXPECT_EQ(carried_budget(16, 16, 0, 4), 4);
  EXPECT_EQ(carried_budget(16, 12, 1, 4), 4);   // all four used
  EXPECT_EQ(carried_budget(16, 15, 1, 4), 7);   // three carried over
  EXPECT_EQ(carried_budget(16, 14, 2, 4), 10);  // six carried over
}

TEST(CarriedBudget, IsSpreadEvenlyWhereTheStepsDoNotDivide) {
  EXPECT_EQ(carried_budget(10, 10, 0, 4), 2);  // 10 / 4 = 2.5 a step
  EXPECT_EQ(carried_budget(10, 8, 1, 4), 3);
  EXPECT_EQ(carried_budget(10, 5, 2, 4), 2);
  EXPECT_EQ(carried_budget(3, 3, 0, 8), 0);  // more steps than positions: some commit none
  EXPECT_EQ(carried_budget(3, 3, 2, 8), 1);
}

TEST(CarriedBudget, IsAllThatIsLeftFromTheLastStepOn) {
  EXPECT_EQ(carried_budget(16, 13, 3, 4), 13);
  EXPECT_EQ(carried_budget(16, 5, 9, 4), 5);
}

}  // namespace
}  // namespace fdllm
