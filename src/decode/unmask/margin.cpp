#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"

// The threshold rule on the lead of the most probable token over the next (the measure of Dream's
// topk_margin): a token of probability 0.6 whose rival has 0.39 is less sure than one whose rivals
// share the rest.

namespace fdllm {
namespace {

constexpr RuleNumber kMargin = {
    .name = "margin",
    .value_name = "P",
    .help = "commit every token whose probability leads the next one's by at least P",
    .range = {.greatest = 1},
};

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return reaching(ranked(candidates), context.number(kMargin));
}

}  // namespace

extern const UnmaskRule kMarginRule = {
    .name = "margin",
    .summary =
        "the token of the largest lead over its rival, and every one whose lead reaches the "
        "margin",
    .chosen_by = &kMargin,
    .measure = Measure::kMargin,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
