#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

namespace fdllm {
namespace {

std::int32_t quota(const UnmaskContext& context) {
  return equal_share(context.initial_masked, context.index, context.steps);
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return most_confident(candidates, quota(context));
}

constexpr OptionSet kTakesCached = {RuleOption::kSteps, RuleOption::kRemasking};
constexpr OptionSet kTakes = {RuleOption::kSteps, RuleOption::kRemasking, RuleOption::kCfgScale};

}  // namespace

const UnmaskRule kQuotaRule = {
    .name = "quota",
    .summary = "a fixed number of the most confident tokens a step",
    .chosen_by = RuleOption::kSteps,
    .uncached = kTakes,
    .cached = kTakesCached,
    .noise = Sampling::kGumbel,
    .measure = Measure::kProbability,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
