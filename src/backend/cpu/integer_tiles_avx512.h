// The AVX-512 tables' integer tiles: up to 16 rows by 1 panel. Weights are unsigned (int8: q + 128,
// int4: q + 8), which vpdpbusd multiplies with signed activations; the offset's share is removed
// with one number a row and segment.
#pragma once
#include "backend/cpu/simd_avx512.h"
// (integer_kernels.h is written over the Simd of the line above.)
#include "backend/cpu/integer_kernels.h"

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

template <int kRows>
constexpr auto kTileInt8 = integer_tile<kRows, kInt8Segment, 8>;
template <int kRows>
constexpr auto kTileInt4 = integer_tile<kRows, kInt4Segment, 4>;

constexpr void (*kTilesInt8[16])(const GemmTile& tile) = {
    kTileInt8<1>,  kTileInt8<2>,  kTileInt8<3>,  kTileInt8<4>,  kTileInt8<5>,  kTileInt8<6>,
    kTileInt8<7>,  kTileInt8<8>,  kTileInt8<9>,  kTileInt8<10>, kTileInt8<11>, kTileInt8<12>,
    kTileInt8<13>, kTileInt8<14>, kTileInt8<15>, kTileInt8<16>};
constexpr void (*kTilesInt4[16])(const GemmTile& tile) = {
    kTileInt4<1>,  kTileInt4<2>,  kTileInt4<3>,  kTileInt4<4>,  kTileInt4<5>,  kTileInt4<6>,
    kTileInt4<7>,  kTileInt4<8>,  kTileInt4<9>,  kTileInt4<10>, kTileInt4<11>, kTileInt4<12>,
    kTileInt4<13>, kTileInt4<14>, kTileInt4<15>, kTileInt4<16>};

inline void any_tile_int8(const GemmTile& tile) {
  kTilesInt8[tile.rows - 1](tile);
}
inline void any_tile_int4(const GemmTile& tile) {
  kTilesInt4[tile.rows - 1](tile);
}

constexpr GemmKernels kGemmInt8 = {.max_rows = 16,
                                   .max_panels = 1,
                                   .weight_bits = 8,
                                   .activation_bytes = 1,
                                   .step_multiple = 4,
                                   .k_block = kIntegerBlock,
                                   .pack_rows = nullptr,
                                   .tile = any_tile_int8,
                                   .segment = kInt8Segment,
                                   .shared_scale = true,
                                   .weight_offset = 128,
                                   .quantize_rows = quantize_rows<kInt8Segment, true, 4, 128>};
constexpr GemmKernels kGemmInt4 = {.max_rows = 16,
                                   .max_panels = 1,
                                   .weight_bits = 4,
                                   .activation_bytes = 1,
                                   .step_multiple = 8,
                                   .k_block = kIntegerBlock,
                                   .pack_rows = nullptr,
                                   .tile = any_tile_int4,
                                   .segment = kInt4Segment,
                                   .shared_scale = false,
                                   .weight_offset = 8,
                                   .quantize_rows = quantize_rows<kInt4Segment, false, 8, 8>};

}  // namespace
}  // namespace fdllm::cpu
