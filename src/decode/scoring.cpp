#include "decode/scoring.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"

namespace fdllm {
namespace {

double confidence_of(const DecodeSettings& settings, const ScoreRequest& asked,
                     const Score& score) {
  if (settings.options.remasking == Remasking::kRandom) {
    return uniform(settings.options.seed, RandomStream::kConfidence, asked.position, asked.step, 0);
  }
  return measured(settings.measure, score);
}

}  // namespace

ScoreRequest score_request(const DecodeSettings& settings,
                           std::span<const TokenException> exceptions, std::int32_t position,
                           std::int32_t step) {
  const GenerateOptions& options = settings.options;
  const bool is_sampled = settings.temperature > 0;
  // Greedy, a filter changes no token: only what is measured after it.
  const bool filters = is_sampled || settings.measure == Measure::kFilteredProbability ||
                       (is_of_distribution(settings.measure) && !settings.raw_distribution);
  return {.position = position,
          .sampling = is_sampled ? settings.habits->noise : Sampling::kGreedy,
          .temperature = static_cast<float>(settings.temperature),
          .top_p = filters ? static_cast<float>(options.top_p) : 1.0f,
          .top_k = filters ? options.top_k : 0,
          .seed = options.seed,
          .step = step,
          .needs_distribution = settings.needs_distribution,
          .raw_distribution = settings.raw_distribution,
          .cfg_scale = static_cast<float>(options.cfg_scale),
          .exceptions = exceptions};
}

std::vector<Candidate> candidates_of(const DecodeSettings& settings,
                                     std::span<const ScoreRequest> asked,
                                     std::span<const Score> scores, std::int32_t forward) {
  std::vector<Candidate> candidates;
  candidates.reserve(asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const double confidence = confidence_of(settings, asked[i], scores[i]);
    if (!scores[i].finite || !std::isfinite(confidence)) {
      fail(ErrorCode::kNumeric,
           "forward {}, position {}: expected finite logits, found NaN or infinity; are the "
           "weights damaged?",
           forward, asked[i].position);
    }
    candidates.push_back({asked[i].position, scores[i].token, confidence});
  }
  return candidates;
}

void commit(std::span<const Candidate> chosen, std::span<const Candidate> candidates,
            Canvas& canvas, StepEvent& event) {
  const auto tell = [&](const Candidate& of, std::vector<TokenEvent>& list) {
    if (of.position < canvas.answer_end()) list.push_back({of.position, of.token, of.confidence});
  };
  for (const Candidate& candidate : chosen) {
    canvas.commit(candidate.position, candidate.token);
    tell(candidate, event.committed);
  }
  for (const Candidate& candidate : candidates) {
    if (canvas.masked(candidate.position)) tell(candidate, event.provisional);
  }
  event.masked = canvas.masked_count({canvas.prompt_length(), canvas.answer_end()});
}

bool commits_all(const DecodeSettings& settings, std::span<const Score> scores) {
  return std::any_of(
      settings.modifiers.begin(), settings.modifiers.end(),
      [&](const GivenModifier& given) { return given.modifier->commits_all(scores, given.value); });
}

}  // namespace fdllm
