#include <array>

#include "base/check.h"
#include "decode/cache/policy.h"

namespace fdllm {

ForwardPlan plan_of_rows(const Canvas& canvas, Range block, Range query) {
  return {.query = positions_of(query),
          .attend = {Range{0, canvas.length()}},
          .score = canvas.masked_positions(block)};
}

std::span<const CachePolicy* const> cache_policies() {
  static constexpr std::array<const CachePolicy*, 3> kPolicies = {&kNoCache, &kPrefixCache,
                                                                  &kDualCache};
  return kPolicies;
}

const CachePolicy& cache_policy(CacheKind kind) {
  for (const CachePolicy* policy : cache_policies()) {
    if (policy->kind == kind) return *policy;
  }
  fail(ErrorCode::kInvalidArgument, "cache: expected none, prefix or dual, found kind {}",
       static_cast<int>(kind));
}

}  // namespace fdllm
