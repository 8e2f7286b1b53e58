#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::candidates_of;
using testing::numbers_of;
using testing::positions_of;
using testing::rule_of;

std::vector<std::int32_t> chosen(const std::vector<double>& confidences, double threshold) {
  const std::vector<Candidate> candidates = candidates_of(confidences);
  const std::vector<std::int32_t> masked = positions_of(candidates);
  const auto numbers = numbers_of({{"threshold", threshold}});
  const UnmaskContext context = {.masked = masked, .numbers = numbers};
  return positions_of(rule_of("threshold").select(context, candidates));
}

using Positions = std::vector<std::int32_t>;

TEST(Threshold, CommitsAllThatReachItMostConfidentFirst) {
  EXPECT_EQ(chosen({0.2, 0.95, 0.9, 0.99}, 0.9), (Positions{3, 1, 2}));
}

TEST(Threshold, TheMostConfidentIsCommittedWhateverItsConfidence) {
  EXPECT_EQ(chosen({0.2, 0.3, 0.1}, 0.9), (Positions{1}));
  EXPECT_EQ(chosen({0.9, 1.0, 1.0}, 1.0 + 1e-9), (Positions{1}));
}

TEST(Threshold, OfEqualOnesTheLowestPositionIsFirst) {
  EXPECT_EQ(chosen({0.3, 0.5, 0.5}, 0.9), (Positions{1}));
  EXPECT_EQ(chosen({0.5, 0.7, 0.5}, 0.5), (Positions{1, 0, 2}));
}

TEST(Threshold, ZeroCommitsAll) {
  EXPECT_EQ(chosen({0.0, 0.5, 0.1}, 0.0), (Positions{1, 2, 0}));
  EXPECT_EQ(chosen({}, 0.0), (Positions{}));
}

}  // namespace
}  // namespace fdllm
