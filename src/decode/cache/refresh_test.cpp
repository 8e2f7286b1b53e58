#include "decode/cache/refresh.h"

#include <vector>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using Kinds = std::vector<StepKind>;
constexpr StepKind kRefresh = StepKind::kRefresh;
constexpr StepKind kVicinity = StepKind::kVicinity;
constexpr StepKind kWindow = StepKind::kWindow;

/// One forward of a block: its number, and how confident its scores are.
struct Step {
  std::int32_t block;
  double confidence = 0.8;
};

Kinds kinds(RefreshKind kind, std::int32_t interval, const std::vector<Step>& steps) {
  RefreshSchedule schedule(refresh_policy(kind), interval, 0.1);
  Kinds result;
  std::int32_t before = -1;
  for (const Step& step : steps) {
    const bool begins = step.block != before;
    before = step.block;
    result.push_back(schedule.next(step.block, begins));
    schedule.advance(result.back(), step.block, begins,
                     std::vector<Score>(3, testing::score_of(1, step.confidence)));
  }
  return result;
}

TEST(RefreshSchedule, BlockRefreshesWhereverOneBegins) {
  EXPECT_EQ(kinds(RefreshKind::kBlock, 1, {{0}, {0}, {1}, {1}, {4}}),
            (Kinds{kRefresh, kWindow, kRefresh, kWindow, kRefresh}));
}

TEST(RefreshSchedule, AnIntervalCountsBlocks) {
  EXPECT_EQ(kinds(RefreshKind::kBlock, 2, {{0}, {1}, {1}, {2}, {3}, {6}}),
            (Kinds{kRefresh, kWindow, kWindow, kRefresh, kWindow, kRefresh}));
  EXPECT_EQ(kinds(RefreshKind::kVicinity, 2, {{0}, {0}, {1}, {2}, {3}}),
            (Kinds{kRefresh, kWindow, kVicinity, kRefresh, kVicinity}));
}

TEST(RefreshSchedule, NeverRunsTheCanvasOnce) {
  EXPECT_EQ(kinds(RefreshKind::kNever, 0, {{0}, {0}, {1}, {2, 0.0}, {2}}),
            (Kinds{kRefresh, kWindow, kWindow, kWindow, kWindow}));
}

TEST(RefreshSchedule, DriftRefreshesOnceAfterConfidenceHasFallen) {
  // Only a block's first forward is compared, and only with the last refresh.
  EXPECT_EQ(kinds(RefreshKind::kDrift, 0,
                  {{0, 0.8}, {0, 0.1}, {1, 0.75}, {2, 0.69}, {2, 0.5}, {3, 0.45}, {4, 0.3}, {5}}),
            (Kinds{kRefresh, kWindow, kWindow, kWindow, kRefresh, kWindow, kWindow, kRefresh}));
}

}  // namespace
}  // namespace fdllm
