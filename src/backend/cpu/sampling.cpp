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

void offer_sampled(const ScoreRequest& request, TokenLogits logits, Pick& pick) {
  const auto [values, first] = logits;
  const double inverse = 1.0 / static_cast<double>(request.temperature);
  const double value_scale = request.sampling == Sampling::kCategorical ? 1.0 : inverse;
  double best = pick.value * value_scale;
  PickableWalk walk(exceptions_in(request.exceptions, first, first + std::ssize(values)));
  for (std::int64_t i = 0; i < std::ssize(values); ++i) {
    const std::int64_t token = first + i;
    if (!walk.is_pickable(token)) continue;
    const double u = uniform_of(request, token);
    // It wins if its noise exceeds need = (best - l) / temperature, that is if
    // u > exp(-exp(-need)), which is at least 1 - exp(-need); the factor covers all rounding.
    const double need = best - static_cast<double>(values[i]) * inverse;
    if (pick.token >= 0 && need > 0 && 1.0 - u > 1.0001 * std::exp(-need)) continue;
    pick.offer(perturb(request, values[i], u), token, values[i]);
    best = pick.value * value_scale;
  }
}

void offer_greedy(const KernelTable& kernels, TokenExceptions exceptions, TokenLogits logits,
                  LogitStatistics largest, Pick& pick) {
  const float* const values = logits.values.data();
  const std::int64_t first = logits.first;
  const auto offer = [&](std::int64_t begin, const LogitStatistics& found) {
    pick.offer(found.maximum, first + begin + found.index, found.maximum);
  };
  if (is_pickable(rule_of(exceptions, first + largest.index))) return offer(0, largest);
  // Look again between those that may not be picked.
  const auto look = [&](std::int64_t begin, std::int64_t end) {
    if (begin < end) offer(begin, kernels.logit_statistics(values + begin, end - begin));
  };
  std::int64_t begin = 0;
  for (const TokenException& exception : exceptions) {
    if (is_pickable(exception.rule)) continue;
    look(begin, exception.token - first);
    begin = exception.token - first + 1;
  }
  look(begin, std::ssize(logits.values));
}

namespace {

/// The pick of a row whose weightless logits are still there. `kept`: what the filters left,
/// ascending; nullptr without a filter.
Pick pick_of(const ScoreRequest& request, std::span<const float> logits, const Candidates* kept) {
  Pick pick;
  if (kept == nullptr && is_sampled(request)) {
    offer_sampled(request, {logits, 0}, pick);
    return pick;
  }
  PickableWalk walk(request.exceptions);
  const auto offer = [&](std::int64_t token) {
    if (!walk.is_pickable(token)) return;
    const float logit = logits[token];
    pick.offer(is_sampled(request) ? perturbed_logit(request, logit, token) : double{logit}, token,
               logit);
  };
  if (kept != nullptr) {
    for (const std::int32_t token : *kept) offer(token);
  } else {
    for (std::int64_t token = 0; token < std::ssize(logits); ++token) offer(token);
  }
  return pick;
}

/// Probabilities of the distribution that a row is drawn from.
class Distribution {
 public:
  /// `kept` as above.
  Distribution(std::span<const float> logits, const Candidates* kept, const Weights& weight)
      : kept_(kept), vocab_(std::ssize(logits)), weight_(weight) {
    if (kept != nullptr) {
      softmax_.emplace(logits, *kept, weight.temperature);
    } else {
      for (std::int64_t token = 0; token < vocab_; ++token) total_ += weight_(token);
    }
  }

  double probability(std::int64_t token) const {
    return softmax_ ? static_cast<double>(softmax_->probability(token)) : weight_(token) / total_;
  }
  /// Sum of the weights; 0 where there is a filter.
  double total() const { return total_; }

  /// Writes margin and entropy. `pick`: the token whose lead the margin is, -1: the likeliest.
  void describe(std::int64_t pick, Score& score) const {
    double largest = 0;
    double second = 0;
    const auto add = [&](std::int64_t token) {
      const double p = probability(token);
      second = std::max(second, std::min(largest, p));
      largest = std::max(largest, p);
      score.entropy += p * std::log(p + 1e-10);
    };
    if (kept_ != nullptr) {
      for (const std::int32_t token : *kept_) add(token);
    } else {
      for (std::int64_t token = 0; token < vocab_; ++token) add(token);
    }
    if (pick >= 0) {
      const double own = probability(pick);
      score.margin = own - (own < largest ? largest : second);
    } else {
      score.margin = kept_ != nullptr ? static_cast<float>(largest) - static_cast<float>(second)
                                      : largest - second;
    }
  }

 private:
  const Candidates* kept_;
  std::int64_t vocab_;
  Weights weight_;
  double total_ = 0;
  std::optional<FilteredSoftmax> softmax_;
};

}  // namespace

Score score_whole_row(const KernelTable& kernels, const ScoreRequest& request,
                      std::span<float> logits, Candidates& candidates) noexcept {
  Score score;
  const auto vocab = static_cast<std::int64_t>(logits.size());
  LogitStatistics statistics = kernels.logit_statistics(logits.data(), vocab);
  if (!statistics.finite) {
    score.finite = false;
    return score;
  }
  const TokenExceptions exceptions = exceptions_in(request.exceptions, 0, vocab);
  const auto take = [&](TokenRule rule) {
    if (!take_weight(exceptions, rule, 0, logits.data())) return;
    statistics = kernels.logit_statistics(logits.data(), vocab);
  };
  take(TokenRule::kRemoved);
  const double temperature = distribution_temperature(request);
  const bool is_filtered = request.top_p < 1.0f || request.top_k > 0;
  const Candidates* kept = nullptr;
  candidates.clear();
  if (is_filtered) {
    filter(request, logits, {logits.data(), statistics.maximum, temperature}, candidates);
    std::sort(candidates.begin(), candidates.end());  // ties: the lowest token
    kept = &candidates;
  }
  Pick pick = pick_of(request, logits, kept);
  const bool nothing_kept = pick.token < 0;  // only such as may not be picked
  if (nothing_kept) {
    offer_greedy(kernels, exceptions, {logits, 0}, statistics, pick);
  }
  if (pick.token < 0) return score;  // a vocabulary of such tokens alone
  take(TokenRule::kUnsure);

  const double maximum = statistics.maximum;
  const Distribution distribution(logits, kept, {logits.data(), maximum, temperature});
  score.token = static_cast<std::int32_t>(pick.token);
  if (rule_of(exceptions, pick.token) != TokenRule::kUnsure) {
    double raw_total = distribution.total();
    if (is_filtered || temperature != 1.0) {
      raw_total = 0;
      for (const float logit : logits) raw_total += std::exp(static_cast<double>(logit) - maximum);
    }
    score.confidence = std::exp(static_cast<double>(pick.logit) - maximum) / raw_total;
    score.filtered_confidence = nothing_kept ? 0.0 : distribution.probability(pick.token);
  }
  if (!request.needs_distribution) return score;
  if (request.raw_distribution) {
    Distribution(logits, nullptr, {logits.data(), maximum, 1.0}).describe(pick.token, score);
  } else {
    distribution.describe(-1, score);
  }
  return score;
}

}  // namespace fdllm::cpu
