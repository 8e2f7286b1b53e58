#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"
#include "decode/unmask/shared_numbers.h"

namespace fdllm {
namespace {

std::int32_t quota(const UnmaskContext& context) {
  if (context.steps == 0) return all_masked(context);
  return carried_budget(context.initial_masked, context.masked_count(), context.index,
                        context.steps);
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return reaching(top_k(context, candidates, quota(context)), context.number(kThreshold));
}

constexpr const RuleNumber* kNumbers[] = {&kThreshold};

}  // namespace

extern const UnmaskRule kConfidenceThresholdRule = {
    .name = "confidence_threshold",
    .summary =
        "the most confident token, and every one whose confidence reaches the threshold; "
        "without a cache, within the budget of the steps so far",
    .only_for = ReferenceFamily::kDream,
    .numbers = kNumbers,
    .schedule = Schedule::kUncached,
    .has_bar = true,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
