#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

// Dream's three rules that commit a scheduled number of positions and differ in what they call
// confident.

namespace fdllm {
namespace {

std::int32_t quota(const UnmaskContext& context) {
  return dream_quota(context.masked_count(), context.index, context.steps);
}

/// A draw without replacement from softmax(confidence / alg_temp) is the ranking of
/// confidence / alg_temp plus Gumbel noise.
std::vector<Candidate> draw(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> noisy(candidates.begin(), candidates.end());
  for (Candidate& candidate : noisy) {
    const double u =
        uniform(context.seed, RandomStream::kSelection, candidate.position, context.step, 0);
    candidate.confidence = candidate.confidence / context.alg_temp - std::log(-std::log(u));
  }
  std::vector<Candidate> drawn = most_confident(noisy, quota(context));
  for (Candidate& candidate : drawn) {
    candidate = *std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& other) {
      return other.position == candidate.position;
    });
  }
  return drawn;
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return context.alg_temp > 0 ? draw(context, candidates)
                              : top_k(context, candidates, quota(context));
}

constexpr OptionSet kTakes = {RuleOption::kAlg, RuleOption::kSteps, RuleOption::kAlgTemp};

}  // namespace

const UnmaskRule kMaskgitPlusRule = {
    .name = "maskgit_plus",
    .summary = "a scheduled number of tokens, by their probability",
    .chosen_by = RuleOption::kAlg,
    .uncached = kTakes,
    .cached = kTakes,
    .noise = Sampling::kCategorical,
    .whole_canvas = true,
    .first_row = true,
    .measure = Measure::kFilteredProbability,
    .quota = quota,
    .select = select,
};

const UnmaskRule kTopkMarginRule = {
    .name = "topk_margin",
    .summary = "a scheduled number of tokens, by the lead of the most probable over the next",
    .chosen_by = RuleOption::kAlg,
    .uncached = kTakes,
    .cached = kTakes,
    .noise = Sampling::kCategorical,
    .whole_canvas = true,
    .first_row = true,
    .measure = Measure::kMargin,
    .quota = quota,
    .select = select,
};

const UnmaskRule kEntropyRule = {
    .name = "entropy",
    .summary = "a scheduled number of tokens, by the negative entropy of their distribution",
    .chosen_by = RuleOption::kAlg,
    .uncached = kTakes,
    .cached = kTakes,
    .noise = Sampling::kCategorical,
    .whole_canvas = true,
    .first_row = true,
    .measure = Measure::kEntropy,
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
