#include <array>

#include "base/check.h"
#include "decode/cache/policy.h"
#include "decode/cache/refresh.h"

namespace fdllm {

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

std::span<const RefreshPolicy> refresh_policies() {
  static constexpr std::array<RefreshPolicy, 4> kPolicies = {{
      {.kind = RefreshKind::kBlock,
       .name = "block",
       .block_start = StepKind::kWindow,
       .default_interval = 1},
      {.kind = RefreshKind::kVicinity, .name = "vicinity", .block_start = StepKind::kVicinity},
      {.kind = RefreshKind::kDrift,
       .name = "drift",
       .block_start = StepKind::kWindow,
       .follows_drift = true},
      {.kind = RefreshKind::kNever, .name = "never", .block_start = StepKind::kWindow},
  }};
  return kPolicies;
}

const RefreshPolicy& refresh_policy(RefreshKind kind) {
  for (const RefreshPolicy& policy : refresh_policies()) {
    if (policy.kind == kind) return policy;
  }
  fail(ErrorCode::kInvalidArgument,
       "refresh: expected block, vicinity, drift or never, found kind {}", static_cast<int>(kind));
}

}  // namespace fdllm
