// Scores that need a row's whole distribution: top_p, top_k, margin and entropy. One block takes a
// row and goes over its logits some times; all sums are in an order that is always the same.
//
// The order of the tokens is never made. Where top_p or top_k cut it is found digit by digit: a
// logit's bits, as a number of the same order, are eight digits of four bits, and each round adds
// up what the tokens of each next digit weigh.
#include <bit>
#include <cmath>

#include "backend/cuda/launch.h"
#include "backend/cuda/pick.cuh"

namespace fdllm::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kWarps = static_cast<int>(kThreads) / kWarp;
constexpr int kDigitBits = 4;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kParts = static_cast<int>(kThreads) / kDigits;
/// Interleaved sums of a softmax over kept tokens (cpu/sampling.cpp).
constexpr int kLanes = 16;
constexpr int kTile = 4096;
constexpr std::size_t kSharedBytes = kThreads * kDigits * sizeof(double);
static_assert(kTile * sizeof(float) <= kSharedBytes);

/// visit(token, logit) of every kThreads-th group of four tokens.
template <typename Visit>
FDLLM_DEVICE void for_each_own(const float* logits, std::int64_t vocab, Visit&& visit) {
  for (std::int64_t i = 4 * std::int64_t{threadIdx.x}; i < vocab; i += 4 * kThreads) {
    const Vector16 four = load_16(logits + i);
    FDLLM_UNROLL
    for (int j = 0; j < 4; ++j) {
      if (i + j < vocab) visit(i + j, std::bit_cast<float>(four.words[j]));
    }
  }
}

/// combine() of all threads' values, in all threads.
template <typename T, typename Combine>
FDLLM_DEVICE T over_block(T value, std::byte* shared, Combine&& combine) {
  auto* const of_warps = reinterpret_cast<T*>(shared);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = value;
  sync_block();
  T all = of_warps[0];
  for (int i = 1; i < kWarps; ++i) all = combine(all, of_warps[i]);
  sync_block();
  return all;
}
FDLLM_DEVICE double block_sum(double value, std::byte* shared) {
  return over_block(warp_sum(value), shared, [](double a, double b) { return a + b; });
}
FDLLM_DEVICE float block_max(float value, std::byte* shared) {
  return over_block(warp_max(value), shared, [](float a, float b) { return a > b ? a : b; });
}
FDLLM_DEVICE Pick block_pick(Pick pick, std::byte* shared) {
  offer_to_warp(pick);
  return over_block(pick, shared, [](Pick a, const Pick& b) {
    offer(a, b);
    return a;
  });
}

/// The two largest probabilities.
struct Largest {
  double first = 0, second = 0;
};
FDLLM_DEVICE Largest merged(const Largest& a, const Largest& b) {
  const double less = a.first > b.first ? b.first : a.first;
  const double second = a.second > b.second ? a.second : b.second;
  return {a.first > b.first ? a.first : b.first, less > second ? less : second};
}
FDLLM_DEVICE Largest block_largest(Largest value, std::byte* shared) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    value = merged(value, {shuffle_xor(value.first, bits), shuffle_xor(value.second, bits)});
  }
  return over_block(value, shared, [](const Largest& a, const Largest& b) { return merged(a, b); });
}

/// A number of the same order as finite logits; those of -0 and 0 are equal.
FDLLM_DEVICE std::uint32_t order_of(float logit) {
  const auto bits = std::bit_cast<std::uint32_t>(logit + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
FDLLM_DEVICE float logit_of(std::uint32_t order) {
  return std::bit_cast<float>((order & 0x80000000u) != 0 ? order ^ 0x80000000u : ~order);
}

/// The logit where the weights of the tokens, largest first, add up to more than a limit.
struct Boundary {
  std::uint32_t order = 0;
  double above = 0;  ///< weight of the tokens with larger logits
  double at = 0;     ///< weight of those with this one
};
template <typename WeightOf>
FDLLM_DEVICE Boundary find_boundary(const float* logits, std::int64_t vocab, double limit,
                                    WeightOf&& weight_of, std::byte* shared) {
  auto* const sums = reinterpret_cast<double*>(shared);
  const int thread = static_cast<int>(threadIdx.x);
  Boundary boundary;
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    double own[kDigits] = {};
    for_each_own(logits, vocab, [&](std::int64_t, float logit) {
      const std::uint32_t order = order_of(logit) >> shift;
      if (order >> kDigitBits != boundary.order) return;
      const double weight = weight_of(logit);
      FDLLM_UNROLL
      for (int digit = 0; digit < kDigits; ++digit) {
        own[digit] += static_cast<int>(order % kDigits) == digit ? weight : 0.0;
      }
    });
    FDLLM_UNROLL
    for (int digit = 0; digit < kDigits; ++digit) {
      sums[digit * static_cast<int>(kThreads) + thread] = own[digit];
    }
    sync_block();
    double part = 0;
    for (int i = 0; i < kDigits; ++i) {
      part += sums[thread / kParts * static_cast<int>(kThreads) + i * kParts + thread % kParts];
    }
    sync_block();
    sums[thread] = part;
    sync_block();
    // The last digit that weighs anything stands in for one that rounding has hidden.
    int chosen = 0;
    double above = boundary.above;
    double at = 0;
    double passed = boundary.above;
    for (int digit = kDigits - 1; digit >= 0; --digit) {
      double total = 0;
      for (int i = 0; i < kParts; ++i) total += sums[digit * kParts + i];
      if (total == 0) continue;
      chosen = digit;
      above = passed;
      at = total;
      passed += total;
      if (passed > limit) break;
    }
    sync_block();
    boundary = {boundary.order * kDigits + static_cast<std::uint32_t>(chosen), above, at};
  }
  return boundary;
}

/// The n-th token, from 1 on, whose logit has this order.
FDLLM_DEVICE std::int32_t find_equal(const float* logits, std::int64_t vocab, std::uint32_t order,
                                     double n, std::byte* shared) {
  auto* const counts = reinterpret_cast<std::int32_t*>(shared);
  std::int32_t& found = counts[kThreads];
  const std::int64_t each = (vocab + kThreads - 1) / kThreads;
  const std::int64_t begin = threadIdx.x * each;
  const std::int64_t end = begin + each < vocab ? begin + each : vocab;
  std::int32_t count = 0;
  for (std::int64_t i = begin; i < end; ++i) count += order_of(logits[i]) == order ? 1 : 0;
  counts[threadIdx.x] = count;
  if (threadIdx.x == 0) found = static_cast<std::int32_t>(vocab);
  sync_block();
  double before = 0;
  for (unsigned i = 0; i < threadIdx.x; ++i) before += counts[i];
  for (std::int64_t i = begin; i < end; ++i) {
    if (order_of(logits[i]) != order) continue;
    before += 1;
    if (before == n) found = static_cast<std::int32_t>(i);
  }
  sync_block();
  const std::int32_t token = found;
  sync_block();
  return token;
}

/// The tokens that top_p and then top_k leave: those with a logit above the boundary's, and of
/// those at it the ones up to a token.
struct Kept {
  std::uint32_t order;
  std::int32_t last;
  FDLLM_DEVICE bool has(std::int64_t token, float logit) const {
    const std::uint32_t other = order_of(logit);
    return other > order || (other == order && token <= last);
  }
};
template <typename WeightOf>
FDLLM_DEVICE Kept filter(const DeviceHeadRow& row, const float* logits, std::int64_t vocab,
                         double total, WeightOf&& weight_of, std::byte* shared) {
  Kept kept{0, static_cast<std::int32_t>(vocab)};
  if (row.top_p < 1.0f) {
    const double limit = static_cast<double>(row.top_p) * total;
    const Boundary boundary = find_boundary(logits, vocab, limit, weight_of, shared);
    const double weight = weight_of(logit_of(boundary.order));
    const double wanted = floor((limit - boundary.above) / weight) + 1.0;
    kept.order = boundary.order;
    if (wanted < rint(boundary.at / weight)) {
      kept.last = find_equal(logits, vocab, kept.order, wanted < 1.0 ? 1.0 : wanted, shared);
    }
  }
  if (row.top_k > 0) {
    const Boundary boundary = find_boundary(
        logits, vocab, static_cast<double>(row.top_k) - 0.5, [](float) { return 1.0; }, shared);
    if (boundary.order > kept.order) kept = {boundary.order, static_cast<std::int32_t>(vocab)};
  }
  return kept;
}

/// The sum of f32 values as the CPU adds them: 16 interleaved lanes, then halves onto halves.
FDLLM_DEVICE float sum_of_lanes(const float* values, std::int64_t count, std::byte* shared) {
  auto* const tile = reinterpret_cast<float*>(shared);
  const int thread = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (std::int64_t first = 0; first < count; first += kTile) {
    for (int i = thread; i < kTile; i += kThreads) {
      tile[i] = first + i < count ? values[first + i] : 0.0f;
    }
    sync_block();
    if (thread < kLanes) {
      for (int i = thread; i < kTile; i += kLanes) sum += tile[i];
    }
    sync_block();
  }
  if (thread < kLanes) tile[thread] = sum;
  sync_block();
  float lanes[kLanes];
  FDLLM_UNROLL
  for (int i = 0; i < kLanes; ++i) lanes[i] = tile[i];
  FDLLM_UNROLL
  for (int half = kLanes / 2; half > 0; half /= 2) {
    FDLLM_UNROLL
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  sync_block();
  return lanes[0];
}

/// Adds a probability to what a thread knows about the distribution.
FDLLM_DEVICE void add_probability(double probability, Largest& largest, double& entropy) {
  largest = merged(largest, {probability, 0.0});
  entropy += probability * log(probability + 1e-10);
}

FDLLM_KERNEL(kThreads) score_distribution(DistributionTask task) {
  FDLLM_SHARED_MEMORY(shared);
  if (std::int64_t{blockIdx.x} >= *task.rows.count) return;
  const DeviceHeadRow row = task.head_rows[blockIdx.x];
  const std::int64_t vocab = task.vocab;
  float* const logits = task.logits + row.row * task.stride;
  const float* const unconditional = task.logits + row.unconditional * task.stride;
  const bool is_guided = row.unconditional >= 0;
  const float factor = row.cfg_scale + 1.0f;
  const float temperature = row.temperature > 0 ? row.temperature : 1.0f;

  float own_maximum = -INFINITY;
  double infinite = 0;
  for_each_own(logits, vocab, [&](std::int64_t token, float logit) {
    if (is_guided) {
      logit = unconditional[token] + factor * (logit - unconditional[token]);
      logits[token] = logit;
    }
    if (!(fabsf(logit) < INFINITY)) infinite += 1;
    if (rule_of(row, task.token_rules, token) == TokenRule::kRemoved) {
      logit = logits[token] = kWeightlessLogit;
    }
    own_maximum = logit > own_maximum ? logit : own_maximum;
  });
  float maximum = block_max(own_maximum, shared);
  if (block_sum(infinite, shared) > 0) {
    if (threadIdx.x == 0) {
      task.scores[blockIdx.x] = {.confidence = 0,
                                 .filtered_confidence = 0,
                                 .margin = 0,
                                 .entropy = 0,
                                 .token = -1,
                                 .finite = 0};
    }
    return;
  }

  const auto raw_weight = [&](float logit) {
    return exp(static_cast<double>(logit) - static_cast<double>(maximum));
  };
  const auto weight = [&](float logit) {
    return exp((static_cast<double>(logit) - static_cast<double>(maximum)) /
               static_cast<double>(temperature));
  };
  double raw_total = 0;
  double total = 0;
  const auto add_up = [&] {
    double own_raw = 0;
    double own_total = 0;
    for_each_own(logits, vocab, [&](std::int64_t, float logit) {
      const double raw = raw_weight(logit);
      own_raw += raw;
      own_total += temperature == 1.0f ? raw : weight(logit);
    });
    raw_total = block_sum(own_raw, shared);
    total = block_sum(own_total, shared);
  };
  add_up();

  const bool is_filtered = row.top_p < 1.0f || row.top_k > 0;
  Kept kept{0, static_cast<std::int32_t>(vocab)};
  if (is_filtered) kept = filter(row, logits, vocab, total, weight, shared);
  const auto rule_at = [&](std::int64_t token) { return rule_of(row, task.token_rules, token); };
  Pick pick{0, -1, 0};
  Pick unfiltered_pick{0, -1, 0};
  const auto offer_own = [&](std::int64_t at, float logit, bool is_kept) {
    const auto token = static_cast<std::int32_t>(at);
    if (!is_pickable(rule_at(at))) return;
    if (is_kept) offer(pick, {value_of(row, logit, token), token, logit});
    offer(unfiltered_pick, {static_cast<double>(logit), token, logit});
  };
  if (row.has_unsure != 0) {
    // They are picked from, and lose their weight after that.
    own_maximum = -INFINITY;
    for_each_own(logits, vocab, [&](std::int64_t at, float logit) {
      offer_own(at, logit, !is_filtered || kept.has(at, logit));
      if (rule_at(at) == TokenRule::kUnsure) logit = logits[at] = kWeightlessLogit;
      own_maximum = logit > own_maximum ? logit : own_maximum;
    });
    maximum = block_max(own_maximum, shared);
    add_up();
  }
  const float scaled_maximum = maximum / temperature;
  const auto float_weight = [&](float logit) {
    return static_cast<float>(exp(static_cast<double>(logit / temperature - scaled_maximum)));
  };

  Largest largest;
  double entropy = 0;
  for_each_own(logits, vocab, [&](std::int64_t at, float logit) {
    const bool is_kept = !is_filtered || kept.has(at, logit);
    if (row.has_unsure == 0) offer_own(at, logit, is_kept);
    if (row.raw_distribution != 0) add_probability(raw_weight(logit) / raw_total, largest, entropy);
    if (is_filtered) {
      logits[at] = is_kept ? float_weight(logit) : 0.0f;
    } else if (row.raw_distribution == 0) {
      add_probability(weight(logit) / total, largest, entropy);
    }
  });
  pick = block_pick(pick, shared);
  const bool has_none_kept = pick.token < 0;
  if (has_none_kept) pick = block_pick(unfiltered_pick, shared);
  const bool is_unsure = rule_at(pick.token) == TokenRule::kUnsure;

  double probability = weight(pick.logit) / total;
  if (is_filtered) {
    const float inverse = 1.0f / sum_of_lanes(logits, vocab, shared);
    for_each_own(logits, vocab, [&](std::int64_t, float value) {
      if (value > 0 && row.raw_distribution == 0) {
        add_probability(static_cast<double>(value * inverse), largest, entropy);
      }
    });
    probability = static_cast<double>(float_weight(pick.logit) * inverse);
  }
  largest = block_largest(largest, shared);
  entropy = block_sum(entropy, shared);
  if (threadIdx.x != 0) return;
  const double confidence = is_unsure ? 0.0 : raw_weight(pick.logit) / raw_total;
  double margin = is_filtered ? static_cast<double>(static_cast<float>(largest.first) -
                                                    static_cast<float>(largest.second))
                              : largest.first - largest.second;
  if (row.raw_distribution != 0) {
    margin = confidence - (confidence < largest.first ? largest.first : largest.second);
  }
  task.scores[blockIdx.x] = {.confidence = confidence,
                             .filtered_confidence = has_none_kept || is_unsure ? 0.0 : probability,
                             .margin = margin,
                             .entropy = entropy,
                             .token = pick.token,
                             .finite = 1};
}

}  // namespace

void run_distribution(Stream stream, const DistributionTask& task) {
  launch(stream, {.x = task.rows.most, .threads = kThreads, .shared_bytes = kSharedBytes},
         score_distribution, task);
}

}  // namespace fdllm::cuda
