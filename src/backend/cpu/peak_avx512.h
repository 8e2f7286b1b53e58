// Loops on registers for both AVX-512 tables. Included by the AVX-512 peak files only.
#pragma once
#include <immintrin.h>

#include "backend/cpu/peak_loops.h"

namespace fdllm::cpu {
namespace {

/// Independent sums: at least latency times throughput of any of these instructions.
constexpr int kChains = 16;
/// Equal chains would be computed once.
constexpr float start_of(int chain) {
  return static_cast<float>(chain) * 0.25f;
}

inline float run_f32(std::int64_t iterations, float seed) {
  const __m512 values = _mm512_set1_ps(seed);
  __m512 sums[kChains];
#pragma GCC unroll 16
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm512_set1_ps(start_of(chain));
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(values, values, sum);
  }
#pragma GCC unroll 16
  for (int chain = 1; chain < kChains; ++chain) sums[0] = _mm512_add_ps(sums[0], sums[chain]);
  return _mm512_reduce_add_ps(sums[0]);
}

inline float run_int8(std::int64_t iterations, float seed) {
  const __m512i values = _mm512_set1_epi8(static_cast<char>(seed * 100));
  __m512i sums[kChains];
#pragma GCC unroll 16
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm512_set1_epi32(chain);
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, values, values);
  }
#pragma GCC unroll 16
  for (int chain = 1; chain < kChains; ++chain) sums[0] = _mm512_add_epi32(sums[0], sums[chain]);
  return static_cast<float>(_mm512_reduce_add_epi32(sums[0]));
}

constexpr PeakLoop kF32 = {2.0 * 16 * kChains, run_f32};
constexpr PeakLoop kInt8 = {2.0 * 64 * kChains, run_int8};

}  // namespace
}  // namespace fdllm::cpu
