#pragma once
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

}  // namespace fdllm
