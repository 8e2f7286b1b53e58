#include "decode/unmask/ranking.h"

#include <algorithm>

namespace fdllm {

std::vector<Candidate> ranked(std::span<const Candidate> candidates) {
  std::vector<Candidate> result(candidates.begin(), candidates.end());
  std::sort(result.begin(), result.end(), [](const Candidate& a, const Candidate& b) {
    return a.confidence != b.confidence ? a.confidence > b.confidence : a.position < b.position;
  });
  return result;
}

std::vector<Candidate> most_confident(std::span<const Candidate> candidates, std::int32_t count) {
  std::vector<Candidate> result = ranked(candidates);
  const auto limit = static_cast<std::size_t>(std::max(count, 0));
  if (result.size() > limit) result.resize(limit);
  return result;
}

std::vector<Candidate> reaching(std::span<const Candidate> candidates, std::int32_t count,
                                double threshold) {
  std::vector<Candidate> result = most_confident(candidates, count);
  std::size_t kept = std::min<std::size_t>(result.size(), 1);
  while (kept < result.size() && result[kept].confidence >= threshold) ++kept;
  result.resize(kept);
  return result;
}

}  // namespace fdllm
