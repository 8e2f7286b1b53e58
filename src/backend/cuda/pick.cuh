// Which token of a row is picked, for the kernels of the head.
#pragma once
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/portable.h"
#include "backend/score.h"
#include "base/rng.h"

namespace fdllm::cuda {

/// The best token so far; the lowest one wins a tie.
struct Pick {
  double value;
  std::int32_t token;  ///< -1: none
  float logit;
};
FDLLM_DEVICE void offer(Pick& pick, const Pick& other) {
  const bool better = other.token >= 0 && (pick.token < 0 || other.value > pick.value ||
                                           (other.value == pick.value && other.token < pick.token));
  if (better) pick = other;
}
FDLLM_DEVICE void offer_to_warp(Pick& pick) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    offer(pick, {shuffle_xor(pick.value, bits), shuffle_xor(pick.token, bits),
                 shuffle_xor(pick.logit, bits)});
  }
}

/// `rules`: the words of all rows.
FDLLM_DEVICE TokenRule rule_of(const DeviceHeadRow& row, const std::uint32_t* rules,
                               std::int64_t token) {
  const auto word = static_cast<std::uint32_t>(token / kRulesOfWord - row.first_rule_word);
  if (word >= row.rule_words) return TokenRule::kFree;
  const auto bits = 2 * static_cast<unsigned>(token % kRulesOfWord);
  return static_cast<TokenRule>(rules[row.rules_begin + static_cast<std::int64_t>(word)] >> bits &
                                3u);
}
FDLLM_DEVICE bool is_pickable(TokenRule rule) {
  return rule == TokenRule::kFree || rule == TokenRule::kUnsure;
}

/// What is compared to pick a token: its logit, perturbed where the row is sampled.
FDLLM_DEVICE double value_of(const DeviceHeadRow& row, float logit, std::int32_t token) {
  const auto sampling = static_cast<Sampling>(row.sampling);
  if (sampling == Sampling::kGreedy || !(row.temperature > 0)) return static_cast<double>(logit);
  const double u = uniform(row.seed, RandomStream::kGumbel, row.position, row.step,
                           static_cast<std::uint32_t>(token));
  const double noise = -log(-log(u));
  const auto temperature = static_cast<double>(row.temperature);
  return sampling == Sampling::kCategorical ? static_cast<double>(logit) / temperature + noise
                                            : static_cast<double>(logit) + temperature * noise;
}

}  // namespace fdllm::cuda
