#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

namespace fdllm {
namespace {

std::int32_t quota(const UnmaskContext& context) {
  if (context.steps == 0) return all_masked(context);
  return carried_budget(context.initial_masked, context.masked_count(), context.index,
                        context.steps);
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return reaching(top_k(context, candidates, quota(context)), context.threshold);
}

constexpr OptionSet kTakesCached = {RuleOption::kAlg, RuleOption::kThreshold};
constexpr OptionSet kTakes = {RuleOption::kAlg, RuleOption::kThreshold, RuleOption::kSteps};

}  // namespace

const UnmaskRule kConfidenceThresholdRule = {
    .name = "confidence_threshold",
    .summary =
        "the most confident token, and every one whose confidence reaches the threshold; "
        "without a cache, within the budget of the steps so far",
    .chosen_by = RuleOption::kAlg,
    .uncached = kTakes,
    .cached = kTakesCached,
    .noise = Sampling::kCategorical,
    .whole_canvas = true,
    .first_row = true,
    .measure = Measure::kFilteredProbability,
    .has_bar = true,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
