#include "backend/cpu/sampling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "base/rng.h"

namespace fdllm::cpu {
namespace {

double uniform_of(const ScoreRequest& request, std::int64_t token) {
  return uniform(request.seed, RandomStream::kGumbel, request.position, request.step,
                 static_cast<std::uint32_t>(token));
}

double perturb(const ScoreRequest& request, float logit, double u) {
  // u = 0 gives -ln 0 = inf, -ln inf = -inf: such a token is never drawn.
  const double noise = -std::log(-std::log(u));
  const auto temperature = static_cast<double>(request.temperature);
  return request.sampling == Sampling::kCategorical ? logit / temperature + noise
                                                    : logit + temperature * noise;
}

/// Larger logit first, then lower token.
struct Descending {
  const float* logits;
  bool operator()(std::int32_t a, std::int32_t b) const {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  }
};

/// Probabilities of softmax(l / temperature) up to their common factor.
struct Weights {
  const float* logits;
  double maximum;
  double temperature;
  double operator()(std::int64_t token) const {
    return std::exp((static_cast<double>(logits[token]) - maximum) / temperature);
  }
};

/// Leaves in `kept` the tokens that survive top_p, then top_k, largest logit first.
void filter(const ScoreRequest& request, std::span<const float> logits, const Weights& weight,
            Candidates& kept) {
  const auto vocab = static_cast<std::int64_t>(logits.size());
  const Descending before{logits.data()};
  kept.resize(logits.size());
  for (std::int64_t token = 0; token < vocab; ++token) kept[token] = static_cast<int>(token);

  // The order is needed only as far as the filters reach: sort ever longer prefixes.
  std::int64_t sorted = 0;
  const auto sort_to = [&](std::int64_t count) {
    count = std::min(count, vocab);
    if (count <= sorted) return;
    if (count < vocab) {
      std::nth_element(kept.begin() + sorted, kept.begin() + count, kept.end(), before);
    }
    std::sort(kept.begin() + sorted, kept.begin() + count, before);
    sorted = count;
  };

  std::int64_t size = vocab;
  if (request.top_p < 1.0f) {
    double total = 0;
    for (std::int64_t token = 0; token < vocab; ++token) total += weight(token);
    const double limit = static_cast<double>(request.top_p) * total;
    double cumulative = 0;
    size = 0;
    do {
      if (size == sorted) sort_to(std::max<std::int64_t>(256, 4 * sorted));
      cumulative += weight(kept[size++]);
    } while (size < vocab && cumulative <= limit);
  }
  if (request.top_k > 0 && request.top_k < size) {
    sort_to(request.top_k);
    const float smallest = logits[kept[request.top_k - 1]];
    std::int64_t end = request.top_k;
    for (;; ++end) {  // all that equal the k-th stay
      if (end == size) break;
      if (end == sorted) sort_to(std::max<std::int64_t>(256, 2 * sorted));
      if (logits[kept[end]] < smallest) break;
    }
    size = end;
  }
  sort_to(size);
  kept.resize(static_cast<std::size_t>(size));
}

/// softmax over the kept tokens in f32, summed as the reference's framework sums a row on an
/// AVX-512 machine: 16 interleaved lanes, then halves onto halves. Confidences near 1 differ from
/// each other by so little that this order decides which come first.
class FilteredSoftmax {
 public:
  /// `kept` ascending.
  FilteredSoftmax(std::span<const float> logits, std::span<const std::int32_t> kept,
                  double temperature)
      : logits_(logits), temperature_(static_cast<float>(temperature)) {
    maximum_ = -std::numeric_limits<float>::infinity();
    for (const std::int32_t token : kept) maximum_ = std::max(maximum_, scaled(token));
    std::array<float, 16> lanes{};
    for (const std::int32_t token : kept) lanes[token % 16] += weight(token);
    for (std::size_t half = 8; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    inverse_ = 1.0f / lanes[0];
  }

  float probability(std::int64_t token) const { return weight(token) * inverse_; }

 private:
  float scaled(std::int64_t token) const { return logits_[token] / temperature_; }
  float weight(std::int64_t token) const {
    return static_cast<float>(std::exp(static_cast<double>(scaled(token) - maximum_)));
  }

  std::span<const float> logits_;
  float temperature_;
  float maximum_;
  float inverse_;
};

}  // namespace

double perturbed_logit(const ScoreRequest& request, float logit, std::int64_t token) {
  return perturb(request, logit, uniform_of(request, token));
}

void offer_sampled(const ScoreRequest& request, std::span<const float> logits, std::int64_t first,
                   Pick& pick) {
  const double inverse = 1.0 / static_cast<double>(request.temperature);
  const double value_scale = request.sampling == Sampling::kCategorical ? 1.0 : inverse;
  double best = pick.value * value_scale;
  for (std::int64_t i = 0; i < std::ssize(logits); ++i) {
    const std::int64_t token = first + i;
    if (token == request.excluded_token) continue;
    const double u = uniform_of(request, token);
    // It wins if its noise exceeds need = (best - l) / temperature, that is if
    // u > exp(-exp(-need)), which is at least 1 - exp(-need); the factor covers all rounding.
    const double need = best - static_cast<double>(logits[i]) * inverse;
    if (pick.token >= 0 && need > 0 && 1.0 - u > 1.0001 * std::exp(-need)) continue;
    pick.offer(perturb(request, logits[i], u), token, logits[i]);
    best = pick.value * value_scale;
  }
}

Score score_whole_row(const KernelTable& kernels, const ScoreRequest& request,
                      std::span<const float> logits, Candidates& candidates) noexcept {
  Score score;
  const auto vocab = static_cast<std::int64_t>(logits.size());
  const LogitStatistics statistics = kernels.logit_statistics(logits.data(), vocab);
  if (!statistics.finite) {
    score.finite = false;
    return score;
  }
  const double maximum = statistics.maximum;
  const Weights weight{logits.data(), maximum, distribution_temperature(request)};
  const bool filtered = request.top_p < 1.0f || request.top_k > 0;
  candidates.clear();
  if (filtered) filter(request, logits, weight, candidates);

  // Visits the distribution's tokens: all in ascending order, or the kept ones, largest first.
  const auto for_each = [&](auto&& visit) {
    if (!filtered) {
      for (std::int64_t token = 0; token < vocab; ++token) visit(token);
    } else {
      for (const std::int32_t token : candidates) visit(std::int64_t{token});
    }
  };

  double total = 0;
  for_each([&](std::int64_t token) { total += weight(token); });
  Pick pick;
  std::optional<FilteredSoftmax> softmax;
  if (filtered) {
    std::sort(candidates.begin(), candidates.end());  // ties: the lowest token
    softmax.emplace(logits, candidates, weight.temperature);
  }
  const auto probability = [&](std::int64_t token) {
    return softmax ? static_cast<double>(softmax->probability(token)) : weight(token) / total;
  };
  if (is_sampled(request) && !filtered) {
    offer_sampled(request, logits, 0, pick);
  } else {
    for_each([&](std::int64_t token) {
      if (token == request.excluded_token) return;
      const float logit = logits[token];
      pick.offer(
          is_sampled(request) ? perturbed_logit(request, logit, token) : static_cast<double>(logit),
          token, logit);
    });
  }
  const bool nothing_kept = pick.token < 0;  // only the excluded token was
  if (nothing_kept) {
    for (std::int64_t token = 0; token < vocab; ++token) {
      if (token != request.excluded_token) pick.offer(logits[token], token, logits[token]);
    }
  }
  if (pick.token < 0) return score;  // a vocabulary of the excluded token alone

  double raw_total = total;
  if (filtered || weight.temperature != 1.0) {
    raw_total = 0;
    for (const float logit : logits) raw_total += std::exp(static_cast<double>(logit) - maximum);
  }
  score.token = static_cast<std::int32_t>(pick.token);
  score.confidence = std::exp(static_cast<double>(pick.logit) - maximum) / raw_total;
  score.filtered_confidence = nothing_kept ? 0.0 : probability(pick.token);
  if (request.needs_distribution) {
    double largest = 0;
    double second = 0;
    for_each([&](std::int64_t token) {
      const double p = probability(token);
      second = std::max(second, std::min(largest, p));
      largest = std::max(largest, p);
      score.entropy += p * std::log(p + 1e-10);
    });
    score.margin =
        filtered ? static_cast<float>(largest) - static_cast<float>(second) : largest - second;
  }
  return score;
}

}  // namespace fdllm::cpu
