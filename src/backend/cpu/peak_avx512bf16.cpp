#include "backend/cpu/peak_avx512.h"

namespace fdllm::cpu {
namespace {

float run_bf16(std::int64_t iterations, float seed) {
  const __m512bh values = _mm512_cvtne2ps_pbh(_mm512_set1_ps(seed), _mm512_set1_ps(seed));
  __m512 sums[kChains];
#pragma GCC unroll 16
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm512_set1_ps(start_of(chain));
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, values, values);
  }
#pragma GCC unroll 16
  for (int chain = 1; chain < kChains; ++chain) sums[0] = _mm512_add_ps(sums[0], sums[chain]);
  return _mm512_reduce_add_ps(sums[0]);
}

constexpr PeakLoops kLoops = {.f32 = kF32, .bf16 = {2.0 * 32 * kChains, run_bf16}, .int8 = kInt8};

}  // namespace

const PeakLoops& avx512bf16_peak_loops() {
  return kLoops;
}

}  // namespace fdllm::cpu
