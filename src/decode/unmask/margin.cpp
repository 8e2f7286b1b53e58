#include "decode/unmask/family_variants.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

// The threshold rule on the lead of the most probable token over the next (the measure of Dream's
// topk_margin): a token of probability 0.6 whose rival has 0.39 is less sure than one whose rivals
// share the rest.

namespace fdllm {
namespace {

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return reaching(ranked(candidates), context.margin);
}

constexpr UnmaskRule kRule = {
    .name = "margin",
    .summary =
        "the token of the largest lead over its rival, and every one whose lead reaches the "
        "margin",
    .chosen_by = RuleOption::kMargin,
    .uncached = {},
    .cached = {},
    .noise = Sampling::kGreedy,
    .measure = Measure::kMargin,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace

const UnmaskRule kMarginRule = for_llada(kRule, {RuleOption::kMargin});
const UnmaskRule kDreamMarginRule = for_dream(kRule, "dream_margin", {RuleOption::kMargin});

}  // namespace fdllm
