#include <immintrin.h>

#include "backend/cpu/peak_loops.h"

namespace fdllm::cpu {
namespace {

/// Independent sums: at least latency times throughput, and few enough for 16 registers.
constexpr int kChains = 12;

float run_f32(std::int64_t iterations, float seed) {
  const __m256 values = _mm256_set1_ps(seed);
  __m256 sums[kChains];
#pragma GCC unroll 12
  for (int chain = 0; chain < kChains; ++chain) {
    sums[chain] = _mm256_set1_ps(static_cast<float>(chain) * 0.25f);  // equal chains become one
  }
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(values, values, sum);
  }
  float total = 0;
#pragma GCC unroll 12
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

/// Signed weights saturate sums of two products, so each pair sum is widened at once.
float run_int8(std::int64_t iterations, float seed) {
  const __m256i factor = _mm256_set1_epi8(static_cast<char>(seed * 100));
  __m256i values = factor;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kChains];
#pragma GCC unroll 12
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm256_set1_epi32(chain);
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      __asm__ volatile("" : "+x"(values));  // a product of constants would leave the loop
      const __m256i pairs = _mm256_maddubs_epi16(factor, values);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
  }
  int total = 0;
#pragma GCC unroll 12
  for (const __m256i& sum : sums) total += _mm256_extract_epi32(sum, 0);
  return static_cast<float>(total);
}

constexpr PeakLoop kF32 = {2.0 * 8 * kChains, run_f32};
constexpr PeakLoops kLoops = {.f32 = kF32, .bf16 = kF32, .int8 = {2.0 * 32 * kChains, run_int8}};

}  // namespace

const PeakLoops& avx2_peak_loops() {
  return kLoops;
}

}  // namespace fdllm::cpu
