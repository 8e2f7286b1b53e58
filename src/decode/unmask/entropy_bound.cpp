#include "decode/unmask/family_variants.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rules.h"

// Entropy-bounded unmasking (EB-Sampler, arXiv 2505.24857): committing tokens independently of each
// other errs by no more than their mutual information, which is no more than the sum of their
// entropies without the largest. The most certain are committed while that stays within the bound.

namespace fdllm {
namespace {

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> order = ranked(candidates);  // confidence = -entropy
  std::size_t kept = 0;
  double others = 0;  // entropies of all before this one, which has the largest
  for (; kept < order.size(); ++kept) {
    if (kept > 0 && others > context.entropy_bound) break;
    others -= order[kept].confidence;
  }
  order.resize(kept);
  return order;
}

constexpr UnmaskRule kRule = {
    .name = "entropy_bound",
    .summary = "the most certain tokens whose entropies together stay within a bound",
    .chosen_by = RuleOption::kEntropyBound,
    .uncached = {},
    .cached = {},
    .noise = Sampling::kGreedy,
    .measure = Measure::kEntropy,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace

const UnmaskRule kEntropyBoundRule = for_llada(kRule, {RuleOption::kEntropyBound});
const UnmaskRule kDreamEntropyBoundRule =
    for_dream(kRule, "dream_entropy_bound", {RuleOption::kEntropyBound});

}  // namespace fdllm
