#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

namespace fdllm {
namespace {

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return reaching(ranked(candidates), context.threshold);
}

constexpr OptionSet kTakesCached = {RuleOption::kThreshold, RuleOption::kRemasking};
constexpr OptionSet kTakes = {RuleOption::kThreshold, RuleOption::kRemasking,
                              RuleOption::kCfgScale};

}  // namespace

const UnmaskRule kThresholdRule = {
    .name = "threshold",
    .summary = "the most confident token, and every one whose confidence reaches the threshold",
    .chosen_by = RuleOption::kThreshold,
    .uncached = kTakes,
    .cached = kTakesCached,
    .noise = Sampling::kGumbel,
    .measure = Measure::kProbability,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
