#include <algorithm>
#include <cstdlib>

#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"
#include "decode/unmask/shared_numbers.h"

// LocalLeap (arXiv 2510.07081): next to a token that reaches the threshold (an anchor) a lower one
// will do, since what lies near a sure token tends to be settled with it.

namespace fdllm {
namespace {

/// Positions to either side of an anchor: the paper's.
constexpr std::int32_t kReach = 4;

constexpr RuleNumber kRelaxedThreshold = {
    .name = "relaxed_threshold",
    .value_name = "P",
    .help = "beside --threshold: a token within 4 positions of one that reaches it needs only P",
    .range = {.greatest = 1},
    .at_most = &kThreshold,
};
constexpr const RuleNumber* kNumbers[] = {&kThreshold};

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  const double threshold = context.number(kThreshold);
  const double relaxed = context.number(kRelaxedThreshold);
  std::vector<Candidate> order = ranked(candidates);
  const std::vector<Candidate> first = reaching(order, threshold);
  const auto is_chosen = [&](const Candidate& candidate) {
    if (candidate.position == first.front().position) return true;
    if (candidate.confidence >= threshold) return true;
    if (candidate.confidence < relaxed) return false;
    return std::any_of(first.begin(), first.end(), [&](const Candidate& anchor) {
      return anchor.confidence >= threshold &&
             std::abs(anchor.position - candidate.position) <= kReach;
    });
  };
  std::erase_if(order, [&](const Candidate& candidate) { return !is_chosen(candidate); });
  return order;
}

}  // namespace

extern const UnmaskRule kLocalLeapRule = {
    .name = "local_leap",
    .summary = "as threshold, and near a token that reaches it also those that reach a lower one",
    .chosen_by = &kRelaxedThreshold,
    .numbers = kNumbers,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
