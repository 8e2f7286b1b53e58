#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"

// Entropy-bounded unmasking (EB-Sampler, arXiv 2505.24857): committing tokens independently of each
// other errs by no more than their mutual information, which is no more than the sum of their
// entropies without the largest. The most certain are committed while that stays within the bound.

namespace fdllm {
namespace {

constexpr RuleNumber kBound = {
    .name = "entropy_bound",
    .value_name = "G",
    .help =
        "commit the most certain tokens, as long as their entropies without the largest add up to "
        "at most G nats",
    .range = {.greatest = 65536},
};

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> order = ranked(candidates);  // confidence = -entropy
  const double bound = context.number(kBound);
  std::size_t kept = 0;
  double others = 0;  // entropies of all before this one, which has the largest
  for (; kept < order.size(); ++kept) {
    if (kept > 0 && others > bound) break;
    others -= order[kept].confidence;
  }
  order.resize(kept);
  return order;
}

}  // namespace

extern const UnmaskRule kEntropyBoundRule = {
    .name = "entropy_bound",
    .summary = "the most certain tokens whose entropies together stay within a bound",
    .chosen_by = &kBound,
    .measure = Measure::kEntropy,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
