#include "decode/cache/policy.h"

#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

/// Prompt of 3, answer of 8 in blocks of 4; position 4 is committed.
Canvas example() {
  const std::vector<std::int32_t> prompt = {1, 2, 3};
  Canvas canvas(prompt, 8, 9);
  canvas.commit(4, 5);
  return canvas;
}
constexpr Range kFirst = {3, 7};
constexpr Range kLast = {7, 11};

TEST(CachePolicy, EveryRefreshIsThePlanOfCacheNone) {
  const Canvas canvas = example();
  for (const CachePolicy* policy : cache_policies()) {
    const ForwardPlan plan = policy->plan(canvas, kFirst, StepKind::kRefresh);
    EXPECT_EQ(plan.query, positions_of({0, 11})) << policy->name;
    EXPECT_EQ(plan.attend, (std::vector<Range>{{0, 11}})) << policy->name;
    EXPECT_EQ(plan.score, (std::vector<std::int32_t>{3, 5, 6})) << policy->name;
  }
}

TEST(CachePolicy, WindowsDifferOnlyInTheirQuery) {
  const Canvas canvas = example();
  const auto query = [&](CacheKind kind) {
    const ForwardPlan plan = cache_policy(kind).plan(canvas, kFirst, StepKind::kWindow);
    EXPECT_EQ(plan.attend, (std::vector<Range>{{0, 11}}));
    EXPECT_EQ(plan.score, (std::vector<std::int32_t>{3, 5, 6}));
    return plan.query;
  };
  EXPECT_EQ(query(CacheKind::kNone), positions_of({0, 11}));
  EXPECT_EQ(query(CacheKind::kPrefix), positions_of({3, 11}));
  EXPECT_EQ(query(CacheKind::kDual), positions_of({3, 7}));
}

TEST(CachePolicy, PrefixAndDualAgreeOnTheLastBlock) {
  const Canvas canvas = example();
  const ForwardPlan prefix = kPrefixCache.plan(canvas, kLast, StepKind::kWindow);
  const ForwardPlan dual = kDualCache.plan(canvas, kLast, StepKind::kWindow);
  EXPECT_EQ(prefix.query, dual.query);
  EXPECT_EQ(prefix.attend, dual.attend);
  EXPECT_EQ(prefix.score, dual.score);
}

TEST(CachePolicy, IsFoundByKind) {
  for (const CachePolicy* policy : cache_policies()) {
    EXPECT_EQ(&cache_policy(policy->kind), policy);
  }
  EXPECT_FALSE(kNoCache.keeps_rows);
}

}  // namespace
}  // namespace fdllm
