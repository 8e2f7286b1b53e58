#include <algorithm>
#include <iterator>

#include "base/rng.h"
#include "decode/schedule.h"
#include "decode/unmask/rule.h"

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

}  // namespace

extern const UnmaskRule kOriginRule = {
    .name = "origin",
    .summary = "positions at random, each with the step's share as its probability",
    .only_for = ReferenceFamily::kDream,
    .schedule = Schedule::kAlways,
    .draws = [](std::span<const NumberValue>) { return true; },
    .quota = quota,
    .select = select,
};

}  // namespace fdllm
