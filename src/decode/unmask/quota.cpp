#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"
#include "decode/unmask/shared_numbers.h"

namespace fdllm {
namespace {

std::int32_t quota(const UnmaskContext& context) {
  return equal_share(context.initial_masked, context.index, context.steps);
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return most_confident(candidates, quota(context));
}

}  // namespace

constinit const RuleNumber kSteps = {
    .name = "steps",
    .value_name = "N",
    .help =
        "fixed number of steps in all, shared by the blocks by their lengths; ignored, as by "
        "the reference, beside a rule without a schedule (threshold, factor ...); uncached "
        "Dream's confidence_threshold: the budget",
    .range = {.least = 1},
    .whole = true,
    .common = true,
};

extern const UnmaskRule kQuotaRule = {
    .name = "quota",
    .summary = "a fixed number of the most confident tokens a step",
    .only_for = ReferenceFamily::kLlada,
    .chosen_by = &kSteps,
    .schedule = Schedule::kAlways,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
