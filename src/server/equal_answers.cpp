#include "server/equal_answers.h"

#include <algorithm>

#include "engine/seed_use.h"

namespace fdllm::server {
namespace {

bool are_equal(const PlannedAnswer& a, const PlannedAnswer& b) {
  const bool same_draws =
      a.request.options.seed == b.request.options.seed || !depends_on_seed(a.resolved);
  return same_draws && a.resolved.gen_length == b.resolved.gen_length &&
         a.request.prompt_ids == b.request.prompt_ids && a.request.holes == b.request.holes;
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
