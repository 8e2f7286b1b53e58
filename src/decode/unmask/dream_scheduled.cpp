#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "decode/schedule.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/rule.h"

// Dream's three rules that commit a scheduled number of positions and differ in what they call
// confident.

namespace fdllm {
namespace {

constexpr RuleNumber kAlgTemp = {
    .name = "alg_temp",
    .value_name = "T",
    .help = "Dream: > 0 draws the positions to commit from softmax(confidence / T)",
    .range = {.greatest = 100},
    .otherwise = 0,
    .used_from = 1e-4,  // below, confidence / T could leave the range of float
};

std::int32_t quota(const UnmaskContext& context) {
  return dream_quota(context.masked_count(), context.index, context.steps);
}

/// A draw without replacement from softmax(confidence / alg_temp) is the ranking of
/// confidence / alg_temp plus Gumbel noise.
std::vector<Candidate> draw(const UnmaskContext& context, std::span<const Candidate> candidates) {
  const double temperature = context.number(kAlgTemp);
  std::vector<Candidate> noisy(candidates.begin(), candidates.end());
  for (Candidate& candidate : noisy) {
    const double u =
        uniform(context.seed, RandomStream::kSelection, candidate.position, context.step, 0);
    candidate.confidence = candidate.confidence / temperature - std::log(-std::log(u));
  }
  std::vector<Candidate> drawn = most_confident(noisy, quota(context));
  for (Candidate& candidate : drawn) {
    candidate = *std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& other) {
      return other.position == candidate.position;
    });
  }
  return drawn;
}

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  return context.number(kAlgTemp) > 0 ? draw(context, candidates)
                                      : top_k(context, candidates, quota(context));
}

bool draws(std::span<const NumberValue> numbers) {
  return value_of(kAlgTemp, numbers) > 0;
}

constexpr const RuleNumber* kNumbers[] = {&kAlgTemp};

constexpr UnmaskRule scheduled(std::string_view name, std::string_view summary, Measure measure) {
  return {.name = name,
          .summary = summary,
          .only_for = ReferenceFamily::kDream,
          .numbers = kNumbers,
          .schedule = Schedule::kAlways,
          .measure = measure,
          .draws = draws,
          .quota = quota,
          .select = select};
}

}  // namespace

extern const UnmaskRule kMaskgitPlusRule = scheduled(
    "maskgit_plus", "a scheduled number of tokens, by their probability", Measure::kProbability);
extern const UnmaskRule kTopkMarginRule = scheduled(
    "topk_margin", "a scheduled number of tokens, by the lead of the most probable over the next",
    Measure::kMargin);
extern const UnmaskRule kEntropyRule = scheduled(
    "entropy", "a scheduled number of tokens, by the negative entropy of their distribution",
    Measure::kEntropy);

}  // namespace fdllm
