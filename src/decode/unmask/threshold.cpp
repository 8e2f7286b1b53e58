#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"
#include "decode/unmask/shared_numbers.h"

namespace fdllm {
namespace {

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return reaching(ranked(candidates), context.number(kThreshold));
}

}  // namespace

constinit const RuleNumber kThreshold = {
    .name = "threshold",
    .value_name = "P",
    .help = "commit every token whose confidence reaches P",
    .range = {.greatest = 1},
    .otherwise = 0.9,
    .common = true,
};

extern const UnmaskRule kThresholdRule = {
    .name = "threshold",
    .summary = "the most confident token, and every one whose confidence reaches the threshold",
    .only_for = ReferenceFamily::kLlada,
    .chosen_by = &kThreshold,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
