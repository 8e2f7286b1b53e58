#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"

namespace fdllm {
namespace {

constexpr RuleNumber kFactor = {
    .name = "factor",
    .value_name = "F",
    .help =
        "LLaDA: commit the n most confident tokens, as long as the nth has at least 1 - F / (n + "
        "1)",
    .range = {.above_least = true},
};

/// How many of the ranked candidates pass before the first that fails: the nth (from 1) passes if
/// its confidence is at least 1 - factor / (n + 1), and the first always.
std::size_t passing(const std::vector<Candidate>& order, double factor) {
  std::size_t count = 1;
  while (count < order.size() &&
         order[count].confidence >= 1.0 - factor / static_cast<double>(count + 2)) {
    ++count;
  }
  return count;
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> order = ranked(candidates);
  if (order.empty()) return order;
  std::size_t count = passing(order, context.number(kFactor));
  // The reference's walk can't tell a failure at the last rank from none, and takes it too.
  if (!context.correct && count + 1 == order.size()) ++count;
  order.resize(count);
  return order;
}

}  // namespace

extern const UnmaskRule kFactorRule = {
    .name = "factor",
    .summary = "as many of the most confident tokens as their confidences bear together",
    .only_for = ReferenceFamily::kLlada,
    .chosen_by = &kFactor,
    .has_bar = true,
    .quota = all_masked,
    .select = select,
};

}  // namespace fdllm
