#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/range.h"

namespace fdllm {

/// What one forward of one request computes, in canvas positions. A cache policy makes it; the one
/// transformer runs it, whatever the policy.
struct ForwardPlan {
  /// Positions that are fed to the model, ascending. Their K/V rows are overwritten.
  std::vector<std::int32_t> query;
  /// K/V rows that every query attends: half-open, ascending, disjoint.
  std::vector<Range> attend;
  /// Positions whose token is asked for, ascending. With a logit shift (Dream) the model scores
  /// position j from the hidden state of j - 1 and adds that row to `query` where it is missing;
  /// position 0 scores from itself.
  std::vector<std::int32_t> score;
};

/// begin, begin + 1, ..., end - 1.
inline std::vector<std::int32_t> positions_of(Range range) {
  std::vector<std::int32_t> positions;
  positions.reserve(range.size());
  for (std::int32_t i = range.begin; i < range.end; ++i) positions.push_back(i);
  return positions;
}

/// The plans of one forward of the rows `rows`, each of which attends its own block and all before
/// it. Blocks have `block` positions from position 0 on; what lies from `length` on is not there.
/// One plan a block, all over the same K/V: a layer stores the rows of all of them before any
/// attends. Nothing is scored.
inline std::vector<ForwardPlan> block_causal_plans(Range rows, std::int32_t block,
                                                   std::int32_t length) {
  std::vector<ForwardPlan> plans;
  for (std::int32_t begin = rows.begin; begin < rows.end;) {
    const std::int32_t end_of_block = std::min(length, (begin / block + 1) * block);
    const std::int32_t end = std::min(end_of_block, rows.end);
    plans.push_back({positions_of({begin, end}), {{0, end_of_block}}, {}});
    begin = end;
  }
  return plans;
}

}  // namespace fdllm
