#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using testing::candidates_of;
using testing::numbers_of;
using testing::positions_of;
using testing::rule_of;

TEST(Quota, CommitsTheStepsShareOfTheBlocksFirstCount) {
  const std::vector<Candidate> candidates = candidates_of({0.1, 0.4, 0.2, 0.4});
  const std::vector<std::int32_t> masked = positions_of(candidates);
  // 7 over 3 steps: 3, 2, 2; three are committed, four left.
  UnmaskContext context = {.masked = masked, .initial_masked = 7, .index = 1, .steps = 3};
  EXPECT_EQ(rule_of("quota").quota(context), 2);
  EXPECT_EQ(positions_of(rule_of("quota").select(context, candidates)),
            (std::vector<std::int32_t>{1, 3}));
  context.index = 0;
  EXPECT_EQ(rule_of("quota").quota(context), 3);
  EXPECT_EQ(positions_of(rule_of("quota").select(context, candidates)),
            (std::vector<std::int32_t>{1, 3, 2}));
}

}  // namespace
}  // namespace fdllm
