#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/k_blocks.h"
#include "quant/nearest.h"

namespace fdllm {
namespace {

constexpr int kGroup = 32;
constexpr int kGroups = kSuperBlock / kGroup;

float reciprocal(float scale) {
  return scale == 0 ? 0.0f : 1.0f / scale;
}

/// The smallest f16 that isn't below `scale` (at least 0): integer multiples of it then reach it.
f16 round_up(float scale) {
  f16 rounded = to_f16(scale);
  if (to_float(rounded) < scale) ++rounded.bits;
  return rounded;
}

/// x is near scale q - minimum, q in [0, 15], both at least 0.
struct AffineFit {
  float scale = 0, minimum = 0;
};

/// The scale and minimum of least squared error for the codes that `guess` gives; `guess` itself
/// where that is no valid pair.
AffineFit refine(const float* x, AffineFit guess) {
  const float inverse = reciprocal(guess.scale);
  float sum_q = 0, sum_qq = 0, sum_x = 0, sum_xq = 0;
  for (int l = 0; l < kGroup; ++l) {
    const auto q = static_cast<float>(nearest_in((x[l] + guess.minimum) * inverse, 0.0f, 15.0f));
    sum_q += q;
    sum_qq += q * q;
    sum_x += x[l];
    sum_xq += x[l] * q;
  }
  const float determinant = kGroup * sum_qq - sum_q * sum_q;
  if (!(determinant > 0)) return guess;
  AffineFit fit;
  fit.scale = (kGroup * sum_xq - sum_x * sum_q) / determinant;
  fit.minimum = (fit.scale * sum_q - sum_x) / kGroup;
  if (fit.minimum < 0) {  // the format has no positive offset
    fit.minimum = 0;
    fit.scale = sum_xq / sum_qq;
  }
  return fit.scale > 0 ? fit : guess;
}

float squared_error(const float* x, AffineFit fit) {
  const float inverse = reciprocal(fit.scale);
  float error = 0;
  for (int l = 0; l < kGroup; ++l) {
    const auto q = static_cast<float>(nearest_in((x[l] + fit.minimum) * inverse, 0.0f, 15.0f));
    const float difference = fit.scale * q - fit.minimum - x[l];
    error += difference * difference;
  }
  return error;
}

AffineFit fit_group(const float* x) {
  const auto [low, high] = std::minmax_element(x, x + kGroup);
  const float minimum = std::max(0.0f, -*low);
  const float range = *high + minimum;
  if (!(range > 0)) return {0.0f, minimum};
  AffineFit best{range / 15.0f, minimum};
  float best_error = squared_error(x, best);
  // Cutting off the extremes a little often pays: start from spans of 15.5 down to 12.5 steps.
  for (int i = 0; i <= 6; ++i) {
    const AffineFit fit = refine(x, {range / (12.5f + 0.5f * static_cast<float>(i)), minimum});
    const float error = squared_error(x, fit);
    if (error < best_error) {
      best = fit;
      best_error = error;
    }
  }
  return best;
}

}  // namespace

void encode(const float* values, BlockQ4_K& block) {
  std::array<AffineFit, kGroups> fits;
  float largest_scale = 0, largest_minimum = 0;
  for (int group = 0; group < kGroups; ++group) {
    fits[group] = fit_group(values + group * kGroup);
    largest_scale = std::max(largest_scale, fits[group].scale);
    largest_minimum = std::max(largest_minimum, fits[group].minimum);
  }
  block.d = round_up(largest_scale / 63.0f);
  block.dmin = round_up(largest_minimum / 63.0f);
  const float d = to_float(block.d);
  const float dmin = to_float(block.dmin);
  block.scales.fill(0);
  block.q.fill(0);
  for (int group = 0; group < kGroups; ++group) {
    const int s = nearest_in(fits[group].scale * reciprocal(d), 0.0f, 63.0f);
    const int m = nearest_in(fits[group].minimum * reciprocal(dmin), 0.0f, 63.0f);
    auto& scales = block.scales;
    if (group < 4) {
      scales[group] = static_cast<std::uint8_t>(scales[group] | s);
      scales[group + 4] = static_cast<std::uint8_t>(scales[group + 4] | m);
    } else {
      scales[group + 4] = static_cast<std::uint8_t>((s & 15) | (m & 15) << 4);
      scales[group - 4] = static_cast<std::uint8_t>(scales[group - 4] | (s >> 4) << 6);
      scales[group] = static_cast<std::uint8_t>(scales[group] | (m >> 4) << 6);
    }
    const float inverse = reciprocal(d * static_cast<float>(s));
    const float minimum = dmin * static_cast<float>(m);
    std::uint8_t* q = block.q.data() + group / 2 * kGroup;
    for (int l = 0; l < kGroup; ++l) {
      const int code = nearest_in((values[group * kGroup + l] + minimum) * inverse, 0.0f, 15.0f);
      q[l] = static_cast<std::uint8_t>(q[l] | code << (group % 2 * 4));
    }
  }
}

void encode(const float* values, BlockQ6_K& block) {
  // A group's largest magnitude goes to code -32, whose scale may be negative.
  std::array<float, 16> scales;
  float largest = 0;
  for (int group = 0; group < 16; ++group) {
    float peak = 0;
    for (int l = 0; l < 16; ++l) {
      const float value = values[group * 16 + l];
      if (std::fabs(value) > std::fabs(peak)) peak = value;
    }
    scales[group] = peak / -32.0f;
    largest = std::max(largest, std::fabs(scales[group]));
  }
  block.d = round_up(largest / 127.0f);
  const float d = to_float(block.d);
  block.low.fill(0);
  block.high.fill(0);
  for (int group = 0; group < 16; ++group) {
    const int s = nearest_in(scales[group] * reciprocal(d), -127.0f, 127.0f);
    block.scales[group] = static_cast<std::int8_t>(s);
    const float inverse = reciprocal(d * static_cast<float>(s));
    const int run = group / 2, half = run / 4, i = run % 4;
    std::uint8_t* low = block.low.data() + half * 64 + i % 2 * 32 + group % 2 * 16;
    std::uint8_t* high = block.high.data() + half * 32 + group % 2 * 16;
    for (int l = 0; l < 16; ++l) {
      const int code = nearest_in(values[group * 16 + l] * inverse, -32.0f, 31.0f) + 32;
      low[l] = static_cast<std::uint8_t>(low[l] | (code & 15) << (i / 2 * 4));
      high[l] = static_cast<std::uint8_t>(high[l] | (code >> 4) << (2 * i));
    }
  }
}

}  // namespace fdllm
