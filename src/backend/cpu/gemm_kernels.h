// The GEMM tile, written once over Simd. Included by the vector kernel files only, after simd_*.h.
#pragma once
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

/// Vectors of a panel.
constexpr int kPanelVectors = kPanelColumns / Simd::kWidth;

template <int kRows, int kPanels>
struct Accumulators {
  static constexpr int kVectors = kPanels * kPanelVectors;
  Simd::Float sums[kRows][kVectors];
};

/// Inlined always: a call would force the accumulators through memory.
template <int kRows, int kPanels>
[[gnu::always_inline]] inline void store_tile(const GemmTile& tile,
                                              const Accumulators<kRows, kPanels>& accumulators) {
  constexpr int kVectors = kPanels * kPanelVectors;
  // GCC keeps the accumulators in registers only where every index is a constant.
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int column = v * Simd::kWidth;
      const int valid = tile.columns - column;
      if (valid <= 0) continue;
      float* out = tile.out + row * tile.out_stride + column;
      Simd::Float value = accumulators.sums[row][v];
      if (tile.bias != nullptr) value = Simd::add(value, Simd::load(tile.bias + column));
      if (valid >= Simd::kWidth) {
        if (tile.add != 0) value = Simd::add(Simd::load(out), value);
        Simd::store(out, value);
      } else {
        if (tile.add != 0) value = Simd::add(Simd::load_first(out, valid, 0.0f), value);
        Simd::store_first(out, valid, value);
      }
    }
  }
}

template <int kRows, int kPanels>
void tile_f32(const GemmTile& tile) {
  constexpr int kVectors = kPanels * kPanelVectors;
  Accumulators<kRows, kPanels> acc;
  for (auto& row : acc.sums) {
    for (auto& sum : row) sum = Simd::zero();
  }
  const auto* a = static_cast<const float*>(tile.a);
  const auto* w = static_cast<const char*>(tile.w);
  constexpr int kStep = kPanelColumns * sizeof(float);
  for (std::int64_t k = 0; k < tile.steps; ++k, w += kStep, a += kRows) {
    Simd::Float weights[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const char* at = w + v / kPanelVectors * tile.panel_stride;
      weights[v] = Simd::load(reinterpret_cast<const float*>(at) +
                              std::ptrdiff_t{v % kPanelVectors} * Simd::kWidth);
      if (v % kPanelVectors == 0) _mm_prefetch(at + tile.prefetch, _MM_HINT_T0);
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const Simd::Float value = Simd::set1(a[row]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        acc.sums[row][v] = Simd::fma(value, weights[v], acc.sums[row][v]);
      }
    }
  }
  store_tile(tile, acc);
}

#if defined(__AVX512BF16__)
/// Dot instructions over pairs of K.
template <int kRows, int kPanels>
void tile_bf16(const GemmTile& tile) {
  constexpr int kVectors = kPanels * kPanelVectors;
  Accumulators<kRows, kPanels> acc;
  for (auto& row : acc.sums) {
    for (auto& sum : row) sum = Simd::zero();
  }
  const auto* a = static_cast<const int*>(tile.a);
  const auto* w = static_cast<const char*>(tile.w);
  constexpr int kStep = kPanelColumns * sizeof(std::uint32_t);
  for (std::int64_t k = 0; k < tile.steps; k += 2, w += kStep, a += kRows) {
    __m512bh weights[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const char* at = w + v * tile.panel_stride;
      weights[v] = (__m512bh)Simd::load_pairs(at);
      _mm_prefetch(at + tile.prefetch, _MM_HINT_T0);
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const auto pair = (__m512bh)_mm512_set1_epi32(a[row]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        acc.sums[row][v] = _mm512_dpbf16_ps(acc.sums[row][v], weights[v], pair);
      }
    }
  }
  store_tile(tile, acc);
}
#else
/// bf16 weights widened to f32: their products with bf16 activations are exact.
template <int kRows, int kPanels>
void tile_bf16(const GemmTile& tile) {
  constexpr int kVectors = kPanels * kPanelVectors;
  Accumulators<kRows, kPanels> acc;
  for (auto& row : acc.sums) {
    for (auto& sum : row) sum = Simd::zero();
  }
  const auto* a = static_cast<const float*>(tile.a);
  const auto* w = static_cast<const char*>(tile.w);
  constexpr int kStep = kPanelColumns * sizeof(std::uint32_t);
  for (std::int64_t k = 0; k < tile.steps; k += 2, w += kStep) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half, a += kRows) {
      Simd::Float weights[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const char* at = w + v / kPanelVectors * tile.panel_stride;
        const Simd::Int pairs = Simd::load_pairs(at + v % kPanelVectors * sizeof(Simd::Int));
        weights[v] = half == 0 ? Simd::even_of(pairs) : Simd::odd_of(pairs);
        if (half == 0 && v % kPanelVectors == 0) _mm_prefetch(at + tile.prefetch, _MM_HINT_T0);
      }
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
        const Simd::Float value = Simd::set1(a[row]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          acc.sums[row][v] = Simd::fma(value, weights[v], acc.sums[row][v]);
        }
      }
    }
  }
  store_tile(tile, acc);
}
#endif

}  // namespace
}  // namespace fdllm::cpu
