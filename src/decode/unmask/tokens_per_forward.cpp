#include <algorithm>
#include <cmath>

#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

// A fixed rate, whatever the confidences: the paper compares its rules with it (a fixed number of
// tokens a step), and it gives random weights the speed of a model that is sure of its tokens.

namespace fdllm {
namespace {

/// After n forwards of a block floor(n rate) of its tokens are committed, and one a forward at
/// least.
std::int32_t quota(const UnmaskContext& context) {
  const double due = std::floor((context.index + 1.0) * context.tokens_per_forward);
  const double committed = context.initial_masked - context.masked_count();
  const double wanted = std::max(1.0, due - committed);
  return static_cast<std::int32_t>(std::min<double>(wanted, context.masked_count()));
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return most_confident(candidates, quota(context));
}

constexpr OptionSet kLladaCached = {RuleOption::kTokensPerForward, RuleOption::kRemasking};
constexpr OptionSet kLladaUncached = {RuleOption::kTokensPerForward, RuleOption::kRemasking,
                                      RuleOption::kCfgScale};
constexpr OptionSet kDream = {RuleOption::kTokensPerForward};

}  // namespace

const UnmaskRule kTokensPerForwardRule = {
    .name = "tokens_per_forward",
    .summary = "the most confident tokens, at a fixed rate",
    .chosen_by = RuleOption::kTokensPerForward,
    .uncached = kLladaUncached,
    .cached = kLladaCached,
    .noise = Sampling::kGumbel,
    .measure = Measure::kProbability,
    .quota = quota,
    .select = select,
};

const UnmaskRule kDreamTokensPerForwardRule = {
    .name = "dream_tokens_per_forward",
    .summary = "the most probable tokens, at a fixed rate",
    .chosen_by = RuleOption::kTokensPerForward,
    .uncached = kDream,
    .cached = kDream,
    .noise = Sampling::kCategorical,
    .whole_canvas = true,
    .first_row = true,
    .measure = Measure::kFilteredProbability,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
