#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "fastdllm/options.h"

#include "backend/score.h"

namespace fdllm {

/// What a forward recomputes, besides the rows that are stale (cache/stale_rows.h).
enum class StepKind : std::uint8_t {
  kRefresh,   ///< all rows
  kVicinity,  ///< the rows around the live block, and the block before it
  kWindow,    ///< the cache policy's window of the live block
};

/// What the first forward of a block recomputes. Data: RefreshSchedule follows it.
struct RefreshPolicy {
  RefreshKind kind;
  std::string_view name;
  StepKind block_start;               ///< what it is where no refresh is due
  std::int32_t default_interval = 0;  ///< refresh_interval where it isn't given; 0: none
  bool follows_drift = false;         ///< confidence that has fallen since the last asks for one
};

std::span<const RefreshPolicy> refresh_policies();
const RefreshPolicy& refresh_policy(RefreshKind kind);

/// When a request's whole canvas is recomputed.
///
/// Drift: K/V that are kept grow stale as tokens are committed elsewhere. Elastic-Cache (arXiv
/// 2510.14973) sees that in the attention of the most attended tokens; here its effect is measured,
/// for free: the mean confidence of the block's scored positions, of its first forward on kept K/V
/// against that of the last refresh. Where it has fallen by more than the limit, the next forward
/// is a refresh.
class RefreshSchedule {
 public:
  /// `interval`: blocks from one refresh to the next at the latest; 0: any number.
  RefreshSchedule(const RefreshPolicy& policy, std::int32_t interval, double drift)
      : policy_(&policy), interval_(interval), drift_(drift) {}

  /// The next forward, of block `block`; `begins`: it is the block's first.
  StepKind next(std::int32_t block, bool begins) const;
  /// It has been run. `scores`: of the block's masked positions, at least one.
  void advance(StepKind kind, std::int32_t block, bool begins, std::span<const Score> scores);

 private:
  const RefreshPolicy* policy_;
  std::int32_t interval_;
  double drift_;
  std::int32_t refreshed_block_ = 0;  // when the canvas was last refreshed
  double refreshed_confidence_ = 0;   // the mean of that forward
  bool due_ = true;                   // the next forward is a refresh, whatever it begins
};

}  // namespace fdllm
