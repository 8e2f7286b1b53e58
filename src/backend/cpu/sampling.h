#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/token_exceptions.h"
#include "backend/score.h"

namespace fdllm::cpu {

/// Distribution scaling: logits are divided by this before top_p, top_k and filtered probabilities.
inline double distribution_temperature(const ScoreRequest& request) {
  return request.temperature > 0 ? static_cast<double>(request.temperature) : 1.0;
}

/// Draws by noise: kGumbel and kCategorical with a temperature above 0.
inline bool is_sampled(const ScoreRequest& request) {
  return request.sampling != Sampling::kGreedy && request.temperature > 0;
}

/// The perturbed logit whose largest one is drawn: l - temperature ln(-ln u) (kGumbel) or
/// l / temperature - ln(-ln u) (kCategorical), u keyed by (seed, position, step, token).
double perturbed_logit(const ScoreRequest& request, float logit, std::int64_t token);

/// The best token so far of a scan in ascending order.
struct Pick {
  double value = -std::numeric_limits<double>::infinity();
  std::int64_t token = -1;
  float logit = 0;

  /// Strictly better only: the lowest token wins a tie.
  void offer(double candidate, std::int64_t id, float candidate_logit) {
    if (token >= 0 && !(candidate > value)) return;
    value = candidate;
    token = id;
    logit = candidate_logit;
  }
};

/// Logits of the tokens from `first` on.
struct TokenLogits {
  std::span<const float> values;
  std::int64_t first = 0;
};

/// Offers the perturbed logits of tokens that may be picked. Tokens that cannot beat the pick are
/// passed over before the costly logarithms.
void offer_sampled(const ScoreRequest& request, TokenLogits logits, Pick& pick);

/// Whether a row needs all its logits at once: top_p and top_k need their order, margin and entropy
/// their normalised probabilities.
inline bool needs_whole_row(const ScoreRequest& request) {
  return request.top_p < 1.0f || request.top_k > 0 || request.needs_distribution;
}

/// Working memory of score_whole_row.
using Candidates = std::vector<std::int32_t>;

/// Offers the logits of such tokens. `largest` is their largest logit.
void offer_greedy(const KernelTable& kernels, TokenExceptions exceptions, TokenLogits logits,
                  LogitStatistics largest, Pick& pick);

/// The score of one row from all its logits, exactly: everything in f64, in a fixed order. Those of
/// tokens without weight are overwritten. `candidates` must have room for logits.size() elements
/// (its capacity is used, never grown).
Score score_whole_row(const KernelTable& kernels, const ScoreRequest& request,
                      std::span<float> logits, Candidates& candidates) noexcept;

}  // namespace fdllm::cpu
