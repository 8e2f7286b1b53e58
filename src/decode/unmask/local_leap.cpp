#include <algorithm>
#include <cstdlib>

#include "decode/unmask/family_variants.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

// LocalLeap (arXiv 2510.07081): next to a token that reaches the threshold (an anchor) a lower one
// will do, since what lies near a sure token tends to be settled with it.

namespace fdllm {
namespace {

/// Positions to either side of an anchor: the paper's.
constexpr std::int32_t kReach = 4;

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> order = ranked(candidates);
  const std::vector<Candidate> first = reaching(order, context.threshold);
  const auto is_chosen = [&](const Candidate& candidate) {
    if (candidate.position == first.front().position) return true;
    if (candidate.confidence >= context.threshold) return true;
    if (candidate.confidence < context.relaxed_threshold) return false;
    return std::any_of(first.begin(), first.end(), [&](const Candidate& anchor) {
      return anchor.confidence >= context.threshold &&
             std::abs(anchor.position - candidate.position) <= kReach;
    });
  };
  std::erase_if(order, [&](const Candidate& candidate) { return !is_chosen(candidate); });
  return order;
}

constexpr UnmaskRule kRule = {
    .name = "local_leap",
    .summary = "as threshold, and near a token that reaches it also those that reach a lower one",
    .chosen_by = RuleOption::kRelaxedThreshold,
    .uncached = {},
    .cached = {},
    .noise = Sampling::kGreedy,
    .measure = Measure::kProbability,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace

const UnmaskRule kLocalLeapRule = for_llada(
    kRule, {RuleOption::kRelaxedThreshold, RuleOption::kThreshold, RuleOption::kRemasking});
const UnmaskRule kDreamLocalLeapRule =
    for_dream(kRule, "dream_local_leap", {RuleOption::kRelaxedThreshold, RuleOption::kThreshold});

}  // namespace fdllm
