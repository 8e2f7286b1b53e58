#pragma once
#include <algorithm>
#include <span>

#include "backend/score.h"

namespace fdllm {

/// Early commit (after Prophet, arXiv 2508.19982): answers are often settled long before the last
/// step. Where the likeliest token of every scored position leads its rival by `gap`, all of them
/// are committed, whatever the rule. (Prophet asks for gaps of logits that shrink with progress,
/// and commits the whole canvas; here gaps are of probabilities, and the live block is committed.)
inline bool all_lead(std::span<const Score> scores, double gap) {
  return std::all_of(scores.begin(), scores.end(),
                     [&](const Score& score) { return score.margin >= gap; });
}

}  // namespace fdllm
