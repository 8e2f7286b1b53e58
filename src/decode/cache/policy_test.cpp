#include "decode/cache/policy.h"

#include <gtest/gtest.h>

namespace fdllm {
namespace {

TEST(CachePolicy, WindowsAreTheCanvasTheBlockAndItsSuffixOrTheBlock) {
  constexpr Range kBlock = {3, 7};
  EXPECT_EQ(kNoCache.window(kBlock, 11), (Range{0, 11}));
  EXPECT_EQ(kPrefixCache.window(kBlock, 11), (Range{3, 11}));
  EXPECT_EQ(kDualCache.window(kBlock, 11), (Range{3, 7}));
}

TEST(CachePolicy, PrefixAndDualAgreeOnTheLastBlock) {
  constexpr Range kLast = {7, 11};
  EXPECT_EQ(kPrefixCache.window(kLast, 11), kDualCache.window(kLast, 11));
}

TEST(CachePolicy, IsFoundByKind) {
  for (const CachePolicy* policy : cache_policies()) {
    EXPECT_EQ(&cache_policy(policy->kind), policy);
  }
  EXPECT_FALSE(kNoCache.keeps_rows);
}

}  // namespace
}  // namespace fdllm
