#include "decode/unmask/ranking.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

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

std::vector<Candidate> top_k(const UnmaskContext& context, std::span<const Candidate> candidates,
                             std::int32_t count) {
  const auto kept = std::min<std::ptrdiff_t>(std::max(count, 0), std::ssize(candidates));
  if (context.correct || kept == 0) return most_confident(candidates, count);
  struct Row {
    double confidence;
    const Candidate* candidate;
  };
  std::vector<Row> rows(static_cast<std::size_t>(context.query.size()),
                        {-std::numeric_limits<double>::infinity(), nullptr});
  for (const Candidate& candidate : candidates) {
    check(context.query.contains(candidate.position), "a candidate that no row of the forward has");
    rows[candidate.position - context.query.begin] = {candidate.confidence, &candidate};
  }
  const auto before = [](const Row& a, const Row& b) { return a.confidence > b.confidence; };
  // torch chooses between the two by this ratio; they leave ties in different orders.
  if (kept * 64 <= std::ssize(rows)) {
    std::partial_sort(rows.begin(), rows.begin() + kept, rows.end(), before);
  } else {
    std::nth_element(rows.begin(), rows.begin() + kept - 1, rows.end(), before);
    std::sort(rows.begin(), rows.begin() + kept - 1, before);
  }
  std::vector<Candidate> result;
  result.reserve(kept);
  for (std::ptrdiff_t i = 0; i < kept; ++i) result.push_back(*rows[i].candidate);
  return result;
}

std::vector<Candidate> reaching(std::vector<Candidate> ranked, double threshold) {
  std::size_t kept = std::min<std::size_t>(ranked.size(), 1);
  while (kept < ranked.size() && ranked[kept].confidence >= threshold) ++kept;
  ranked.resize(kept);
  return ranked;
}

std::vector<Candidate> above(std::vector<Candidate> ranked, double threshold, std::int32_t least) {
  auto kept = std::min(ranked.size(), static_cast<std::size_t>(std::max(least, 0)));
  while (kept < ranked.size() && ranked[kept].confidence > threshold) ++kept;
  ranked.resize(kept);
  return ranked;
}

}  // namespace fdllm
