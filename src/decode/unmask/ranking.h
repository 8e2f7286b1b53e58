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

/// The `count` most confident as the reference's torch.topk picks them on a CPU. It ranks all rows
/// of the forward, those that are no candidates at -infinity, and equal confidences come in the
/// order in which the standard library's selection leaves them. With `context.correct`:
/// most_confident().
std::vector<Candidate> top_k(const UnmaskContext& context, std::span<const Candidate> candidates,
                             std::int32_t count);

/// The first of `ranked`, and those after it whose confidence reaches `threshold`.
std::vector<Candidate> reaching(std::vector<Candidate> ranked, double threshold);

/// The first `least` of `ranked`, and those after them whose confidence is above `threshold`.
std::vector<Candidate> above(std::vector<Candidate> ranked, double threshold, std::int32_t least);

/// The quota of rules that have none.
inline std::int32_t all_masked(const UnmaskContext& context) {
  return context.masked_count();
}

}  // namespace fdllm
