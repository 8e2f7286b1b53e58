// The AVX2 table's integer tiles: up to 4 rows by 1 panel, on vpmaddubsw, which multiplies unsigned
// by signed bytes and saturates sums of two products at 16 bits.
#pragma once
#include "backend/cpu/simd_avx2.h"
// (integer_kernels.h is written over the Simd of the line above.)
#include "backend/cpu/integer_formats.h"
#include "backend/cpu/integer_kernels.h"
#include "backend/cpu/weight_kernels.h"

namespace fdllm::cpu {
namespace {

inline const __m256i* vectors_at(const char* w) {
  return reinterpret_cast<const __m256i*>(w);
}

/// Signed weights: their signs go to the activations, and 2 * 128 * 127 fits 16 bits.
template <int kRows, std::int64_t kSegment>
void tile_int8(const GemmTile& tile) {
  SegmentSums<kRows> out;
  const auto* a = static_cast<const int*>(tile.a);
  const auto* w = static_cast<const char*>(tile.w);
  const __m256i ones = _mm256_set1_epi16(1);
  for (std::int64_t k = 0, segment = 0; k < tile.steps; k += kSegment, ++segment) {
    const std::int64_t left = tile.steps - k < kSegment ? tile.steps - k : kSegment;
    __m256i sums[kRows][2];
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) sums[row][0] = sums[row][1] = _mm256_setzero_si256();
    for (std::int64_t i = 0; i < left; i += 4, w += 64, a += kRows) {
      _mm_prefetch(w + tile.prefetch, _MM_HINT_T0);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m256i weights = _mm256_loadu_si256(vectors_at(w) + v);
        const __m256i magnitudes = _mm256_abs_epi8(weights);
#pragma GCC unroll 4
        for (int row = 0; row < kRows; ++row) {
          const __m256i values = _mm256_sign_epi8(_mm256_set1_epi32(a[row]), weights);
          const __m256i pairs = _mm256_maddubs_epi16(magnitudes, values);
          sums[row][v] = _mm256_add_epi32(sums[row][v], _mm256_madd_epi16(pairs, ones));
        }
      }
    }
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) out.add(row, v, sums[row][v], tile, segment);
    }
  }
  out.store(tile);
}

/// Weights 0 .. 15 (q + 8): a sum of 2 products is at most 3810, so 8 of them fit 16 bits.
template <int kRows, std::int64_t kSegment>
void tile_int4(const GemmTile& tile) {
  constexpr std::int64_t kNarrow = 32;  // values of K that are summed in 16 bits: 8 of each 4
  SegmentSums<kRows> out;
  const auto* a = static_cast<const int*>(tile.a);
  const auto* w = static_cast<const char*>(tile.w);
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i low_nibbles = _mm256_set1_epi8(15);
  for (std::int64_t k = 0, segment = 0; k < tile.steps; k += kSegment, ++segment) {
    const std::int64_t end = tile.steps - k < kSegment ? tile.steps - k : kSegment;
    __m256i sums[kRows][2];
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) sums[row][0] = sums[row][1] = _mm256_setzero_si256();
    for (std::int64_t first = 0; first < end; first += kNarrow) {
      const std::int64_t left = end - first < kNarrow ? end - first : kNarrow;
      __m256i narrow[kRows][2];
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
        narrow[row][0] = narrow[row][1] = _mm256_setzero_si256();
      }
      for (std::int64_t i = 0; i < left; i += 8, w += 64, a += std::ptrdiff_t{2} * kRows) {
        _mm_prefetch(w + tile.prefetch, _MM_HINT_T0);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          const __m256i weights = _mm256_loadu_si256(vectors_at(w) + v);
          const __m256i low = _mm256_and_si256(weights, low_nibbles);
          const __m256i high = _mm256_and_si256(_mm256_srli_epi16(weights, 4), low_nibbles);
#pragma GCC unroll 4
          for (int row = 0; row < kRows; ++row) {
            const __m256i first_pairs = _mm256_maddubs_epi16(low, _mm256_set1_epi32(a[row]));
            const __m256i second_pairs =
                _mm256_maddubs_epi16(high, _mm256_set1_epi32(a[kRows + row]));
            narrow[row][v] =
                _mm256_add_epi16(narrow[row][v], _mm256_add_epi16(first_pairs, second_pairs));
          }
        }
      }
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          sums[row][v] = _mm256_add_epi32(sums[row][v], _mm256_madd_epi16(narrow[row][v], ones));
        }
      }
    }
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) out.add(row, v, sums[row][v], tile, segment);
    }
  }
  out.store(tile);
}

template <std::int64_t kSegment, int kBits>
void any_integer_tile(const GemmTile& tile) {
  using Tile = void (*)(const GemmTile& tile);
  static constexpr Tile kInt8[4] = {tile_int8<1, kSegment>, tile_int8<2, kSegment>,
                                    tile_int8<3, kSegment>, tile_int8<4, kSegment>};
  static constexpr Tile kInt4[4] = {tile_int4<1, kSegment>, tile_int4<2, kSegment>,
                                    tile_int4<3, kSegment>, tile_int4<4, kSegment>};
  (kBits == 8 ? kInt8 : kInt4)[tile.rows - 1](tile);
}

struct IntegerSet {
  static constexpr int kMaxRows = 4;
  static constexpr int kInt8Offset = 0;
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
