// Quantising weights to the integer formats, over vectors that the compiler maps to each table's
// instruction set: 16 lanes in all, nothing contracted or reordered, so that every table gives the
// same bits. Included by the kernel files only.
#pragma once
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int kVectorWidth = kVectorBytes / 4;
constexpr int kLanes = 16;
constexpr int kVectors = kLanes / kVectorWidth;
using Floats [[gnu::vector_size(kVectorBytes)]] = float;
using Ints [[gnu::vector_size(kVectorBytes)]] = std::int32_t;
using Bytes [[gnu::vector_size(kVectorWidth)]] = std::int8_t;

/// 1.5 * 2^23: adding it rounds |x| < 2^22 to nearest even in the low bits of the sum.
constexpr float kRounder = 12582912.0f;
constexpr std::int32_t kRounderBits = 0x4b400000;

/// One number for each lane.
struct LaneSums {
  Floats vectors[kVectors] = {};

  float total() const {
    float sixteen[kLanes], eight[8], four[4];
    __builtin_memcpy(sixteen, vectors, sizeof(sixteen));
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) eight[i] = sixteen[i] + sixteen[i + 8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) four[i] = eight[i] + eight[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
  }
};

/// body(first, values, valid) for each 16 values; the last ones are filled up with zeros.
template <typename Body>
[[gnu::always_inline]] inline void for_lanes(const float* values, std::int64_t count, Body&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, values + i, kLanes);
  if (i == count) return;
  float last[kLanes] = {};
  __builtin_memcpy(last, values + i, static_cast<std::size_t>(count - i) * sizeof(float));
  body(i, last, count - i);
}

[[gnu::always_inline]] inline void load(const float* from, int vector, Floats& to) {
  __builtin_memcpy(&to, from + vector * kVectorWidth, sizeof(to));
}

/// The value of largest magnitude; NaN where one is not finite.
inline float extreme_of(const float* values, std::int64_t count) {
  Ints largest[kVectors] = {};  // bits of magnitudes, which order as they do
  Ints highest[kVectors] = {};  // bits of what is positive
  for_lanes(values, count, [&](std::int64_t, const float* from, std::int64_t) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Ints bits;
      __builtin_memcpy(&bits, from + v * kVectorWidth, sizeof(bits));
      const Ints magnitude = bits & 0x7fffffff;
      largest[v] = magnitude > largest[v] ? magnitude : largest[v];
      highest[v] = bits > highest[v] ? bits : highest[v];
    }
  });
  std::int32_t magnitude = 0;
  std::int32_t high = 0;
  for (int v = 0; v < kVectors; ++v) {
    for (int i = 0; i < kVectorWidth; ++i) {
      magnitude = largest[v][i] > magnitude ? largest[v][i] : magnitude;
      high = highest[v][i] > high ? highest[v][i] : high;
    }
  }
  if (magnitude >= 0x7f800000) return __builtin_nanf("");
  const float extreme = __builtin_bit_cast(float, magnitude);
  return high == magnitude ? extreme : -extreme;
}

/// Values rounded to the format's range, as numbers and as floats.
template <int kBits>
[[gnu::always_inline]] inline void round_to_format(const Floats& values, Ints& numbers,
                                                   Floats& rounded) {
  constexpr std::int32_t kHigh = kBits == 8 ? 127 : 7;
  constexpr std::int32_t kLow = kBits == 8 ? -127 : -8;
  // Clamped as bits, which order as the (positive) sums do.
  const Floats sums = values + kRounder;
  Ints bits;
  __builtin_memcpy(&bits, &sums, sizeof(bits));
  const Ints low = Ints{} + (kRounderBits + kLow);
  const Ints high = Ints{} + (kRounderBits + kHigh);
  bits = bits > low ? bits : low;
  bits = high > bits ? bits : high;
  numbers = bits - kRounderBits;
  __builtin_memcpy(&rounded, &bits, sizeof(rounded));
  rounded -= kRounder;
}

/// Sums of v = factor * value and its rounded q.
struct FitSums {
  LaneSums products;  ///< v q
  LaneSums squares;   ///< q^2

  [[gnu::always_inline]] void add(int v, const Floats& value) {
    Ints numbers;
    Floats q;
    round_to_format<4>(value, numbers, q);
    products.vectors[v] += value * q;
    squares.vectors[v] += q * q;
  }
};

/// Of two factors at once: their sums don't wait for each other.
[[gnu::always_inline]] inline void fit_int4(const float* values, std::int64_t count,
                                            const float (&factors)[2], FitSums (&sums)[2]) {
  for_lanes(values, count, [&](std::int64_t, const float* from, std::int64_t) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Floats value;
      load(from, v, value);
      sums[0].add(v, value * factors[0]);
      sums[1].add(v, value * factors[1]);
    }
  });
}

/// Writes q = factor * value rounded; the scale is step / factor.
template <int kBits>
inline QuantizedWeights round_weights(const float* values, std::int64_t count, float factor,
                                      float step, std::int8_t* quantized) {
  LaneSums errors, sizes;
  for_lanes(values, count, [&](std::int64_t first, const float* from, std::int64_t valid) {
    std::int8_t bytes[kLanes];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Floats value;
      load(from, v, value);
      value *= factor;
      Ints numbers;
      Floats q;
      round_to_format<kBits>(value, numbers, q);
      const Floats error = value - q * step;
      errors.vectors[v] += error * error;
      sizes.vectors[v] += value * value;
      const Bytes narrow = __builtin_convertvector(numbers, Bytes);
      __builtin_memcpy(bytes + v * kVectorWidth, &narrow, sizeof(narrow));
    }
    if (valid == kLanes) {
      __builtin_memcpy(quantized + first, bytes, kLanes);
    } else {
      __builtin_memcpy(quantized + first, bytes, static_cast<std::size_t>(valid));
    }
  });
  const double unit = 1.0 / static_cast<double>(factor);
  return {step / factor, static_cast<double>(errors.total()) * unit * unit,
          static_cast<double>(sizes.total()) * unit * unit};
}

/// int8: the largest magnitude becomes 127. int4: the scale of the least squared error among a few:
/// those that put the largest magnitude on -8 (either sign of the scale) or a little beyond the
/// range, each fitted to the numbers that it gives.
template <int kBits>
QuantizedWeights quantize_weights(const float* values, std::int64_t count, std::int8_t* quantized) {
  const float extreme = extreme_of(values, count);
  const float largest = __builtin_fabsf(extreme);
  if (!(largest >= kSmallestQuantized)) {
    __builtin_memset(quantized, 0, static_cast<std::size_t>(count));
    return {largest == largest ? 0.0f : largest, 0, 0};
  }
  if constexpr (kBits == 8) {
    return round_weights<8>(values, count, 127.0f / largest, 1.0f, quantized);
  } else {
    constexpr float kSteps[2][2] = {{-8.0f, 8.0f}, {-9.0f, 7.0f}};
    float best_gain = -1, best_factor = 0, best_step = 0;
    for (const auto& steps : kSteps) {
      const float factors[2] = {steps[0] / extreme, steps[1] / extreme};
      FitSums sums[2];
      fit_int4(values, count, factors, sums);
      for (int i = 0; i < 2; ++i) {
        // The error of a fitted scale is sum v^2 - (sum v q)^2 / sum q^2, in units of the extreme:
        // the best has the largest gain. The squares are at least 49: the extreme itself.
        const float products = sums[i].products.total();
        const float step = products / sums[i].squares.total();
        const float gain = step * products / (steps[i] * steps[i]);
        if (gain > best_gain) {
          best_gain = gain;
          best_factor = factors[i];
          best_step = step;
        }
      }
    }
    return round_weights<4>(values, count, best_factor, best_step, quantized);
  }
}

}  // namespace
}  // namespace fdllm::cpu
