#pragma once
#include <string_view>

#include "decode/unmask/rule.h"

namespace fdllm {

/// A LLaDA rule that an option of its own chooses, `takes` besides those options that all of them
/// take.
constexpr UnmaskRule for_llada(UnmaskRule rule, OptionSet takes) {
  rule.uncached = takes.with(RuleOption::kCfgScale);
  rule.cached = takes;
  rule.noise = Sampling::kGumbel;
  return rule;
}

/// The same rule for Dream: its draws, its filtered probability, and no blocks without a cache.
constexpr UnmaskRule for_dream(UnmaskRule rule, std::string_view name, OptionSet takes) {
  rule.name = name;
  rule.uncached = rule.cached = takes;
  rule.noise = Sampling::kCategorical;
  rule.whole_canvas = true;
  rule.first_row = true;
  if (rule.measure == Measure::kProbability) rule.measure = Measure::kFilteredProbability;
  return rule;
}

}  // namespace fdllm
