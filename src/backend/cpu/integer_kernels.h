// What the integer formats' vector kernels share, over Simd: quantising rows, and what happens at
// the end of a segment. Included by the vector kernel files only, after simd_*.h.
#pragma once
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

/// Writes one segment of one row and its sum; the words of a row lie `count` apart.
inline std::int32_t quantize_segment(const float* from, std::int64_t values, std::int64_t steps,
                                     float inverse, int count, std::int32_t* words) {
  Simd::Int sums = Simd::zero_int();
  const Simd::Float factor = Simd::set1(inverse);
  for (std::int64_t k = 0; k < steps; k += Simd::kWidth) {
    const Simd::Float value = values - k >= Simd::kWidth
                                  ? Simd::load(from + k)
                                  : Simd::load_first(from + k, values - k, 0.0f);
    const Simd::Int rounded = Simd::to_int(Simd::mul(value, factor));
    sums = Simd::add_int(sums, rounded);
    alignas(16) std::int32_t packed[Simd::kWidth / 4];
    Simd::store_int8(packed, rounded);
    const std::int64_t left = (steps - k) / 4;
#pragma GCC unroll 4
    for (int i = 0; i < Simd::kWidth / 4; ++i) {
      if (i < left) words[(k / 4 + i) * count] = packed[i];
    }
  }
  return Simd::sum_int(sums);
}

/// Bits of the largest magnitude, which order as the magnitudes do, NaN last.
inline std::int32_t largest_bits(const float* from, std::int64_t values) {
  Simd::Int largest = Simd::zero_int();
  for (std::int64_t k = 0; k < values; k += Simd::kWidth) {
    const Simd::Float value = values - k >= Simd::kWidth
                                  ? Simd::load(from + k)
                                  : Simd::load_first(from + k, values - k, 0.0f);
    largest = Simd::max_int(largest, Simd::magnitude_bits(value));
  }
  return Simd::maximum_int(largest);
}

template <std::int64_t kSegment, bool kSharedScale, int kMultiple, int kWeightOffset>
void quantize_rows(const QuantizeRows& task) {
  const int count = task.count;
  for (int row = 0; row < count; ++row) {
    const float* from = task.rows[row];
    std::int32_t bits = kSharedScale ? largest_bits(from, task.values) : 0;
    for (std::int64_t k = 0, segment = 0; k < task.values; k += kSegment, ++segment) {
      const std::int64_t values = task.values - k < kSegment ? task.values - k : kSegment;
      const std::int64_t steps = (values + kMultiple - 1) / kMultiple * kMultiple;
      if (!kSharedScale) bits = largest_bits(from + k, values);
      const float largest = __builtin_bit_cast(float, bits);
      const bool finite = bits < 0x7f800000;
      auto* words = static_cast<std::int32_t*>(task.out) + k / 4 * count + row;
      std::int32_t sum = 0;
      float scale = 0.0f;
      if (finite && largest >= kSmallestQuantized) {
        scale = largest / kActivationSteps;
        sum = quantize_segment(from + k, values, steps, kActivationSteps / largest, count, words);
      } else {
        if (!finite) scale = __builtin_nanf("");
        for (std::int64_t i = 0; i < steps / 4; ++i) words[i * count] = 0;
      }
      task.scales[segment * count + row] = scale;
      task.offsets[segment * count + row] = kWeightOffset * sum;
    }
  }
}

/// f32 sums of a tile, in one piece: rows of the output lie a power of two apart in many models,
/// and would collide in the level 1 cache.
template <int kRows>
struct SegmentSums {
  static constexpr int kVectors = kPanelColumns / Simd::kWidth;
  alignas(64) float values[kRows][kPanelColumns];

  SegmentSums() {
    for (auto& row : values) {
      for (int v = 0; v < kVectors; ++v) Simd::store(row + v * Simd::kWidth, Simd::zero());
    }
  }
  [[gnu::always_inline]] void add(int row, int v, Simd::Int sum, const GemmTile& tile,
                                  std::int64_t segment) {
    const std::int64_t of_row = segment * kRows + row;
    const Simd::Float exact =
        Simd::to_float(Simd::sub_int(sum, Simd::set1_int(tile.a_offsets[of_row])));
    const Simd::Float scaled =
        Simd::mul(exact, Simd::load(tile.w_scales + segment * kPanelColumns + v * Simd::kWidth));
    float* at = values[row] + v * Simd::kWidth;
    Simd::store(at, Simd::fma(scaled, Simd::set1(tile.a_scales[of_row]), Simd::load(at)));
  }
  void store(const GemmTile& tile) const {
    for (int row = 0; row < kRows; ++row) {
      for (int v = 0; v < kVectors; ++v) {
        const int column = v * Simd::kWidth;
        const int valid = tile.columns - column;
        if (valid <= 0) continue;
        float* out = tile.out + row * tile.out_stride + column;
        Simd::Float value = Simd::load(values[row] + column);
        if (tile.bias != nullptr) value = Simd::add(value, Simd::load(tile.bias + column));
        if (tile.add != 0) value = Simd::add(Simd::load_first(out, valid, 0.0f), value);
        Simd::store_first(out, valid, value);
      }
    }
  }
};

}  // namespace
}  // namespace fdllm::cpu
