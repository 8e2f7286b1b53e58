#include <algorithm>
#include <cmath>

#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"

// A fixed rate, whatever the confidences: the paper compares its rules with it (a fixed number of
// tokens a step), and it gives random weights the speed of a model that is sure of its tokens.

namespace fdllm {
namespace {

constexpr RuleNumber kRate = {
    .name = "tokens_per_forward",
    .value_name = "X",
    .help =
        "commit the X most confident tokens of every forward (fractions add up), whatever "
        "their confidence",
    .range = {.least = 1, .greatest = 65536},
};

/// After n forwards of a block floor(n rate) of its tokens are committed, and one a forward at
/// least.
std::int32_t quota(const UnmaskContext& context) {
  const double due = std::floor((context.index + 1.0) * context.number(kRate));
  const double committed = context.initial_masked - context.masked_count();
  const double wanted = std::max(1.0, due - committed);
  return static_cast<std::int32_t>(std::min<double>(wanted, context.masked_count()));
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return most_confident(candidates, quota(context));
}

}  // namespace

extern const UnmaskRule kTokensPerForwardRule = {
    .name = "tokens_per_forward",
    .summary = "the most confident tokens, at a fixed rate",
    .chosen_by = &kRate,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
