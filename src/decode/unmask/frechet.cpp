#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"

// Frechet profile decoding (Fast-dLLM++, arXiv 2606.02955). Whatever the joint distribution, the n
// most confident tokens are right together with a probability of at least 1 - sum (1 - c_i), and
// any other choice has at most 1 - c_n: the least confident of them would have to be another. They
// are committed while the first exceeds the second by the margin asked for. With equal confidences
// that is the factor rule with factor 1 - margin; with others it commits more.

namespace fdllm {
namespace {

constexpr RuleNumber kMargin = {
    .name = "frechet",
    .value_name = "D",
    .help =
        "commit the most confident tokens, as long as their confidences alone show that they are "
        "right together, with margin D (0.25 is its authors'; smaller commits more)",
    .range = {.greatest = 1},
};

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> order = ranked(candidates);
  std::size_t kept = 0;
  double doubt = 0;  // sum of 1 - c_i
  for (; kept < order.size(); ++kept) {
    const double own = 1 - order[kept].confidence;
    doubt += own;
    if (kept > 0 && 1 - doubt - own <= context.number(kMargin)) break;
  }
  order.resize(kept);
  return order;
}

}  // namespace

extern const UnmaskRule kFrechetRule = {
    .name = "frechet",
    .summary = "the most confident tokens that are surely right together, by all their confidences",
    .chosen_by = &kMargin,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
