// Quantising weights to the integer formats: plain loops over 16 lanes that are compiled once for
// each table. Nothing is contracted or reordered, so every table gives the same bits. Included by
// the kernel files only.
#pragma once
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

constexpr std::int64_t kLanes = 16;
/// 1.5 * 2^23: adding it rounds |x| < 2^22 to nearest even in the low bits of the sum.
constexpr float kRounder = 12582912.0f;

struct Lanes {
  alignas(64) float at[kLanes] = {};
  float sum() const {
    float halves[8];
    for (int i = 0; i < 8; ++i) halves[i] = at[i] + at[i + 8];
    const float a = halves[0] + halves[4], b = halves[1] + halves[5];
    const float c = halves[2] + halves[6], d = halves[3] + halves[7];
    return (a + c) + (b + d);
  }
};

/// body(first, values, valid) for each 16 values; the last ones are filled up with zeros.
template <typename Body>
[[gnu::always_inline]] inline void for_lanes(const float* values, std::int64_t count, Body&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, values + i, kLanes);
  if (i == count) return;
  float last[kLanes] = {};
  for (std::int64_t j = i; j < count; ++j) last[j - i] = values[j];
  body(i, last, count - i);
}

/// The value of largest magnitude; NaN where one is not finite.
inline float extreme_of(const float* values, std::int64_t count) {
  Lanes lowest, highest;
  std::uint32_t exponents[kLanes] = {};  // the largest
  for_lanes(values, count, [&](std::int64_t, const float* from, std::int64_t) {
    for (int i = 0; i < kLanes; ++i) {
      const float value = from[i];
      lowest.at[i] = value < lowest.at[i] ? value : lowest.at[i];
      highest.at[i] = value > highest.at[i] ? value : highest.at[i];
      const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value) & 0x7f800000u;
      exponents[i] = bits > exponents[i] ? bits : exponents[i];
    }
  });
  float low = 0;
  float high = 0;
  for (int i = 0; i < kLanes; ++i) {
    if (exponents[i] == 0x7f800000u) return __builtin_nanf("");
    low = lowest.at[i] < low ? lowest.at[i] : low;
    high = highest.at[i] > high ? highest.at[i] : high;
  }
  return -low > high ? low : high;
}

template <int kBits>
inline float round_to_format(float value) {
  constexpr float kLow = kBits == 8 ? -127.0f : -8.0f;
  constexpr float kHigh = kBits == 8 ? 127.0f : 7.0f;
  const float rounded = (value + kRounder) - kRounder;
  const float above = rounded < kLow ? kLow : rounded;
  return above > kHigh ? kHigh : above;
}

/// Sums of products of v = factor * value and its rounded q.
struct FitSums {
  float products;  ///< sum v q
  float squares;   ///< sum q^2
};

inline FitSums fit_int4(const float* values, std::int64_t count, float factor) {
  Lanes products, squares;
  for_lanes(values, count, [&](std::int64_t, const float* from, std::int64_t) {
    for (int i = 0; i < kLanes; ++i) {
      const float value = from[i] * factor;
      const float q = round_to_format<4>(value);
      products.at[i] += value * q;
      squares.at[i] += q * q;
    }
  });
  return {products.sum(), squares.sum()};
}

/// Writes q = factor * value rounded; the scale is step / factor.
template <int kBits>
inline QuantizedWeights round_weights(const float* values, std::int64_t count, float factor,
                                      float step, std::int8_t* quantized) {
  Lanes errors, sizes;
  for_lanes(values, count, [&](std::int64_t first, const float* from, std::int64_t valid) {
    std::int8_t rounded[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const float value = from[i] * factor;
      const float q = round_to_format<kBits>(value);
      const float error = value - q * step;
      errors.at[i] += error * error;
      sizes.at[i] += value * value;
      rounded[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(q));
    }
    for (std::int64_t i = 0; i < valid; ++i) quantized[first + i] = rounded[i];
  });
  const double unit = 1.0 / static_cast<double>(factor);
  return {step / factor, static_cast<double>(errors.sum()) * unit * unit,
          static_cast<double>(sizes.sum()) * unit * unit};
}

/// int8: the largest magnitude becomes 127. int4: the scale of the least squared error among a few:
/// those that put the largest magnitude on -8 (either sign of the scale) or a little beyond the
/// range, each fitted to the numbers that it gives.
template <int kBits>
QuantizedWeights quantize_weights(const float* values, std::int64_t count, std::int8_t* quantized) {
  const float extreme = extreme_of(values, count);
  const float largest = extreme < 0 ? -extreme : extreme;
  if (!(largest >= kSmallestQuantized)) {
    for (std::int64_t i = 0; i < count; ++i) quantized[i] = 0;
    return {extreme == extreme ? 0.0f : __builtin_nanf(""), 0, 0};
  }
  if constexpr (kBits == 8) {
    return round_weights<8>(values, count, 127.0f / largest, 1.0f, quantized);
  } else {
    // The error of a fitted scale is sum v^2 - (sum v q)^2 / sum q^2, in units of the extreme: the
    // best has the largest gain. The squares are at least 49: the extreme itself.
    float best_gain = -1, best_factor = 0, best_step = 0;
    constexpr float kSteps[] = {-8.0f, 8.0f, -9.0f, 7.0f};
    for (const float steps : kSteps) {
      const float factor = steps / extreme;
      const FitSums sums = fit_int4(values, count, factor);
      const float step = sums.products / sums.squares;
      const float gain = step * sums.products / (steps * steps);
      if (gain > best_gain) {
        best_gain = gain;
        best_factor = factor;
        best_step = step;
      }
    }
    return round_weights<4>(values, count, best_factor, best_step, quantized);
  }
}

}  // namespace
}  // namespace fdllm::cpu
