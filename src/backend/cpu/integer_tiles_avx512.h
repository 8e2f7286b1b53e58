// The AVX-512 tables' integer tiles: up to 16 rows by 1 panel. Weights are unsigned (int8: q + 128,
// int4: q + 8), which vpdpbusd multiplies with signed activations; the offset's share is removed
// with one number a row and segment.
#pragma once
#include "backend/cpu/simd_avx512.h"
// (integer_kernels.h is written over the Simd of the line above.)
#include "backend/cpu/integer_formats.h"
#include "backend/cpu/integer_kernels.h"
#include "backend/cpu/weight_kernels.h"

namespace fdllm::cpu {
namespace {

template <int kRows>
[[gnu::always_inline]] inline void dot_rows(__m512i (&sums)[kRows], __m512i weights, const int* a) {
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
    sums[row] = _mm512_dpbusd_epi32(sums[row], weights, _mm512_set1_epi32(a[row]));
  }
}

template <int kRows, std::int64_t kSegment, int kBits>
void integer_tile(const GemmTile& tile) {
  SegmentSums<kRows> out;
  const auto* a = static_cast<const int*>(tile.a);
  const auto* w = static_cast<const char*>(tile.w);
  const __m512i low_nibbles = _mm512_set1_epi8(15);
  // A vector holds 4 (int8) or 8 (int4) values of K for each of 16 columns.
  constexpr int kVectorSteps = 32 / kBits;
  for (std::int64_t k = 0, segment = 0; k < tile.steps; k += kSegment, ++segment) {
    const std::int64_t left = tile.steps - k < kSegment ? tile.steps - k : kSegment;
    __m512i sums[kRows];
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) sums[row] = _mm512_setzero_si512();
    for (std::int64_t i = 0; i < left; i += kVectorSteps, w += 64) {
      const __m512i weights = _mm512_loadu_si512(w);
      _mm_prefetch(w + tile.prefetch, _MM_HINT_T0);
      if constexpr (kBits == 8) {
        dot_rows<kRows>(sums, weights, a);
        a += kRows;
      } else {
        dot_rows<kRows>(sums, _mm512_and_si512(weights, low_nibbles), a);
        dot_rows<kRows>(sums, _mm512_and_si512(_mm512_srli_epi16(weights, 4), low_nibbles),
                        a + kRows);
        a += std::ptrdiff_t{2} * kRows;
      }
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) out.add(row, 0, sums[row], tile, segment);
  }
  out.store(tile);
}

template <std::int64_t kSegment, int kBits>
void any_integer_tile(const GemmTile& tile) {
  static constexpr void (*kTiles[16])(const GemmTile& tile) = {
      integer_tile<1, kSegment, kBits>,  integer_tile<2, kSegment, kBits>,
      integer_tile<3, kSegment, kBits>,  integer_tile<4, kSegment, kBits>,
      integer_tile<5, kSegment, kBits>,  integer_tile<6, kSegment, kBits>,
      integer_tile<7, kSegment, kBits>,  integer_tile<8, kSegment, kBits>,
      integer_tile<9, kSegment, kBits>,  integer_tile<10, kSegment, kBits>,
      integer_tile<11, kSegment, kBits>, integer_tile<12, kSegment, kBits>,
      integer_tile<13, kSegment, kBits>, integer_tile<14, kSegment, kBits>,
      integer_tile<15, kSegment, kBits>, integer_tile<16, kSegment, kBits>};
  kTiles[tile.rows - 1](tile);
}

struct IntegerSet {
  static constexpr int kMaxRows = 16;
  static constexpr int kInt8Offset = 128;
  template <std::int64_t kSegment, int kBits>
  static constexpr auto kTile = any_integer_tile<kSegment, kBits>;
  template <std::int64_t kSegment, bool kSharedScale, int kMultiple, int kOffset>
  static constexpr auto kQuantizeRows = quantize_rows<kSegment, kSharedScale, kMultiple, kOffset>;
  template <int kBits>
  static constexpr auto kQuantizeWeights = quantize_weights<kBits>;
};

constexpr IntegerKernels kIntegerKernels = integer_formats<IntegerSet>();

}  // namespace
}  // namespace fdllm::cpu
