#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "decode/unmask/rule.h"

namespace fdllm {

/// The candidates by descending confidence, equal ones by ascending position.
std::vector<Candidate> ranked(std::span<const Candidate> candidates);

/// The first `count` of ranked(), or all where there are fewer.
std::vector<Candidate> most_confident(std::span<const Candidate> candidates, std::int32_t count);

/// The first of ranked(), and those of its first `count` whose confidence reaches `threshold`.
std::vector<Candidate> reaching(std::span<const Candidate> candidates, std::int32_t count,
                                double threshold);

/// The quota of rules that have none.
inline std::int32_t all_masked(const UnmaskContext& context) {
  return context.masked_count();
}

}  // namespace fdllm
