#include <algorithm>

#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"
#include "decode/unmask/shared_numbers.h"

// The remasking strategies of SDAR's generate.py, by its names. A block of B positions has a number
// of denoising steps, and each step an equal share of B; a prompt's tokens in the block leave fewer
// masks than that.
namespace fdllm {
namespace {

constexpr RuleNumber kBlockSteps = {
    .name = "block_steps",
    .value_name = "N",
    .help =
        "SDAR: denoising steps of a block; each commits an equal share of its positions at "
        "least (0: one for each position)",
    .range = {.greatest = 65536},
    .otherwise = 0,
    .whole = true,
};
constexpr RuleNumber kEntropyThreshold = {
    .name = "eb_threshold",
    .value_name = "H",
    .help =
        "SDAR's entropy_bounded: commit the most certain tokens whose entropies together stay "
        "below H nats",
    .range = {.greatest = 65536},
    .otherwise = 0.35,
};
constexpr const RuleNumber* kDynamicNumbers[] = {&kThreshold, &kBlockSteps};
constexpr const RuleNumber* kStepNumbers[] = {&kBlockSteps};
constexpr const RuleNumber* kEntropyNumbers[] = {&kEntropyThreshold};

/// What the step commits at least: shares add up to the block, so that none is 0 while masks are
/// left.
std::int32_t share(const UnmaskContext& context) {
  const auto given = static_cast<std::int32_t>(context.number(kBlockSteps));
  const std::int32_t block = context.block_length;
  return equal_share(block, context.index, given > 0 ? given : block);
}

std::vector<Candidate> dynamic(const UnmaskContext& context,
                               std::span<const Candidate> candidates) {
  return above(ranked(candidates), context.number(kThreshold), share(context));
}

std::vector<Candidate> fixed(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return most_confident(candidates, share(context));
}

std::vector<Candidate> leftmost(const UnmaskContext& context,
                                std::span<const Candidate> candidates) {
  const auto count = std::min<std::ptrdiff_t>(share(context), std::ssize(candidates));
  return {candidates.begin(), candidates.begin() + count};
}

std::vector<Candidate> certain(const UnmaskContext& context,
                               std::span<const Candidate> candidates) {
  std::vector<Candidate> order = ranked(candidates);  // confidence = -entropy
  const double most = context.number(kEntropyThreshold);
  double sum = 0;
  std::size_t kept = 0;
  for (; kept < order.size(); ++kept) {
    sum -= order[kept].confidence;
    if (kept > 0 && sum >= most) break;
  }
  order.resize(kept);
  return order;
}

}  // namespace

extern const UnmaskRule kSdarDynamicRule = {
    .name = "low_confidence_dynamic",
    .summary = "every token above the threshold, but a step's share of the block at least",
    .only_for = ReferenceFamily::kSdar,
    .numbers = kDynamicNumbers,
    .has_bar = true,
    .quota = all_masked,
    .select = dynamic,
};
extern const UnmaskRule kSdarStaticRule = {
    .name = "low_confidence_static",
    .summary = "a step's share of the block, the most confident tokens first",
    .only_for = ReferenceFamily::kSdar,
    .numbers = kStepNumbers,
    .quota = all_masked,
    .select = fixed,
};
extern const UnmaskRule kSdarSequentialRule = {
    .name = "sequential",
    .summary = "a step's share of the block, from the left",
    .only_for = ReferenceFamily::kSdar,
    .numbers = kStepNumbers,
    .quota = all_masked,
    .select = leftmost,
};
extern const UnmaskRule kSdarEntropyRule = {
    .name = "entropy_bounded",
    .summary = "the most certain tokens whose entropies together stay below a bound",
    .only_for = ReferenceFamily::kSdar,
    .numbers = kEntropyNumbers,
    .measure = Measure::kEntropy,
    .has_bar = true,
    .quota = all_masked,
    .select = certain,
};

}  // namespace fdllm
