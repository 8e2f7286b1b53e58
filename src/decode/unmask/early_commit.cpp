#include <algorithm>

#include "decode/unmask/rule.h"

// Early commit (after Prophet, arXiv 2508.19982): answers are often settled long before the last
// step. Where the likeliest token of every scored position leads its rival by so much, all of them
// are committed, whatever the rule. (Prophet asks for gaps of logits that shrink with progress, and
// commits the whole canvas; here gaps are of probabilities, and the live block is committed.)

namespace fdllm {
namespace {

constexpr RuleNumber kGap = {
    .name = "early_commit",
    .value_name = "P",
    .help = "commit the whole block once every token leads its rival by P, whatever the rule",
    .range = {.greatest = 1},
};

bool all_lead(std::span<const Score> scores, double gap) {
  return std::all_of(scores.begin(), scores.end(),
                     [&](const Score& score) { return score.margin >= gap; });
}

}  // namespace

extern const UnmaskModifier kEarlyCommit = {
    .number = &kGap, .needs_distribution = true, .commits_all = all_lead};

}  // namespace fdllm
