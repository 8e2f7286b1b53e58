#include <algorithm>
#include <iterator>

#include "base/rng.h"
#include "decode/schedule.h"
#include "decode/unmask/rules.h"

namespace fdllm {
namespace {

/// Each masked position is chosen on its own with the step's share as probability, without regard
/// to scores; so a step that chooses none is known before its forward.
bool chosen(const UnmaskContext& context, std::int32_t position) {
  const double u = uniform(context.seed, RandomStream::kSelection, position, context.step, 0);
  return u < static_cast<double>(dream_share(context.index, context.steps));
}

std::int32_t quota(const UnmaskContext& context) {
  return static_cast<std::int32_t>(
      std::count_if(context.masked.begin(), context.masked.end(),
                    [&](std::int32_t position) { return chosen(context, position); }));
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> result;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(result),
               [&](const Candidate& candidate) { return chosen(context, candidate.position); });
  return result;
}

constexpr OptionSet kTakes = {RuleOption::kAlg, RuleOption::kSteps};

}  // namespace

const UnmaskRule kOriginRule = {
    .name = "origin",
    .summary = "positions at random, each with the step's share as its probability",
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

}  // namespace fdllm
