#include "eval/statistics.h"

#include <gtest/gtest.h>

namespace fdllm::eval {
namespace {

// Values computed from the formulas in Python.
TEST(Statistics, WilsonInterval) {
  const Interval some = wilson_interval(60, 300);
  EXPECT_NEAR(some.low, 0.158657, 1e-5);
  EXPECT_NEAR(some.high, 0.248929, 1e-5);
  const Interval none = wilson_interval(0, 10);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.277533, 1e-5);
  const Interval all = wilson_interval(10, 10);
  EXPECT_NEAR(all.low, 0.722467, 1e-5);
  EXPECT_EQ(all.high, 1);
  const Interval nothing = wilson_interval(0, 0);
  EXPECT_EQ(nothing.low, 0);
  EXPECT_EQ(nothing.high, 1);
}

TEST(Statistics, PairedDifference) {
  const PairedComparison pairs{100, 60, 5, 15, 20};
  EXPECT_DOUBLE_EQ(pairs.difference(), 0.10);
  const Interval interval = pairs.interval();
  // (16 - 6) / 102 -+ 1.96 sqrt((22 / 102 - (10 / 102)^2) / 102)
  EXPECT_NEAR(interval.low, 0.009942, 1e-5);
  EXPECT_NEAR(interval.high, 0.186136, 1e-5);
  EXPECT_NEAR(pairs.p_value(), 0.041389, 1e-6);
}

TEST(Statistics, EqualRunsDoNotDiffer) {
  const PairedComparison same{50, 30, 0, 0, 20};
  EXPECT_EQ(same.difference(), 0);
  EXPECT_LT(same.interval().low, 0);
  EXPECT_GT(same.interval().high, 0);
  EXPECT_EQ(same.p_value(), 1);
  const PairedComparison balanced{50, 30, 7, 7, 6};
  EXPECT_EQ(balanced.p_value(), 1);
  EXPECT_LT(balanced.interval().low, same.interval().low);
}

TEST(Statistics, OneSidedDifferencesAreExact) {
  EXPECT_NEAR((PairedComparison{10, 0, 0, 10, 0}.p_value()), 2.0 / 1024, 1e-12);
  EXPECT_NEAR((PairedComparison{1, 0, 1, 0, 0}.p_value()), 1.0, 1e-12);
  EXPECT_NEAR((PairedComparison{10, 0, 10, 0, 0}.p_value()), 2.0 / 1024, 1e-12);
}

}  // namespace
}  // namespace fdllm::eval
