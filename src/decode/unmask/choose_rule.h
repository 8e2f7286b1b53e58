#pragma once
#include <optional>
#include <vector>

#include "fastdllm/options.h"

#include "decode/cache/policy.h"
#include "decode/unmask/rule.h"

namespace fdllm {

/// The number that a request gives, or nullopt: it gives none, or one that means nothing.
std::optional<double> given_number(const GenerateOptions& options, const RuleNumber& number);

/// The rule that the options choose, of those that serve the family. Every number that they give is
/// one that it takes; but for steps, which a rule without a schedule ignores, as the reference
/// does. Throws kInvalidArgument naming what contradicts.
const UnmaskRule& choose_rule(const GenerateOptions& options, ReferenceFamily family);

/// The values of the numbers that the rule takes, besides steps. Throws kInvalidArgument.
std::vector<NumberValue> resolve_numbers(const GenerateOptions& options, const UnmaskRule& rule);

/// Whether the rule has a schedule with this cache.
bool has_schedule(const UnmaskRule& rule, const CachePolicy& cache);

}  // namespace fdllm
