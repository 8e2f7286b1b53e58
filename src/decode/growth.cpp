#include "decode/growth.h"

namespace fdllm {
namespace {

/// The least mean probability of an end token: DAEDAL's.
constexpr double kConfidentEnd = 0.5;

}  // namespace

void CanvasGrowth::observe(std::span<const Score> scores,
                           std::span<const std::int32_t> end_tokens) {
  if (scores.empty()) return;
  double sum = 0;
  for (const Score& score : scores) {
    const bool ends =
        std::find(end_tokens.begin(), end_tokens.end(), score.token) != end_tokens.end();
    if (ends) sum += score.confidence;
  }
  if (sum < kConfidentEnd * static_cast<double>(scores.size())) grow();
}

}  // namespace fdllm
