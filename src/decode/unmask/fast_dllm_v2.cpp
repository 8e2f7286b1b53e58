#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"
#include "decode/unmask/shared_numbers.h"

namespace fdllm {
namespace {

constexpr const RuleNumber* kNumbers[] = {&kThreshold};

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return above(ranked(candidates), context.number(kThreshold), 1);
}

}  // namespace

extern const UnmaskRule kFastDllmV2Rule = {
    .name = "above_threshold",
    .summary = "the most confident token of the sub-block, and every one above the threshold",
    .only_for = ReferenceFamily::kFastDllmV2,
    .numbers = kNumbers,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
