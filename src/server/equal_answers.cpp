#include "server/equal_answers.h"

#include <algorithm>

namespace fdllm::server {
namespace {

bool are_equal(const PlannedAnswer& a, const PlannedAnswer& b) {
  const GenerateOptions& options = a.request.options();
  const GenerateOptions& others = b.request.options();
  const bool same_draws = options.seed == others.seed || !a.request.depends_on_seed();
  return same_draws && options.gen_length == others.gen_length &&
         std::ranges::equal(a.request.prompt_ids(), b.request.prompt_ids()) &&
         std::ranges::equal(a.request.holes(), b.request.holes());
}

}  // namespace

EqualAnswers group_equal(std::span<const PlannedAnswer> answers) {
  EqualAnswers equal;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto found = std::ranges::find_if(
        equal.firsts, [&](std::size_t first) { return are_equal(answers[first], answers[i]); });
    if (found == equal.firsts.end()) {
      equal.firsts.push_back(i);
      equal.groups.push_back({i});
    } else {
      equal.groups[static_cast<std::size_t>(found - equal.firsts.begin())].push_back(i);
    }
  }
  return equal;
}

}  // namespace fdllm::server
