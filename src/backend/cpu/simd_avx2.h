// Vectors of 8 floats, for the AVX2 kernel file only; see simd_avx512.h about the namespace.
#pragma once
#include <cstdint>

#include <immintrin.h>

namespace fdllm::cpu {
namespace {

struct Simd {
  static constexpr int kWidth = 8;
  using Float = __m256;
  using Int = __m256i;

  static Float zero() { return _mm256_setzero_ps(); }
  static Float set1(float value) { return _mm256_set1_ps(value); }
  static Float load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Float value) { _mm256_storeu_ps(to, value); }
  /// The first `count` lanes (0 .. 8) from memory, `fill` in the others.
  static Float load_first(const float* from, std::int64_t count, float fill) {
    const Int lanes = first_lanes(count);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(from, lanes),
                            _mm256_castsi256_ps(lanes));
  }
  static void store_first(float* to, std::int64_t count, Float value) {
    _mm256_maskstore_ps(to, first_lanes(count), value);
  }

  static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float sub(Float a, Float b) { return _mm256_sub_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float div(Float a, Float b) { return _mm256_div_ps(a, b); }
  /// a * b + c
  static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  /// c - a * b
  static Float fnma(Float a, Float b, Float c) { return _mm256_fnmadd_ps(a, b, c); }
  /// The second operand where either is NaN.
  static Float max(Float a, Float b) { return _mm256_max_ps(a, b); }
  static Float min(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float round(Float a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// a * 2^n for integral n in [-200, 200]: in two steps, for 2^n itself may be no normal number.
  static Float scale_by_power(Float a, Float n) {
    const Int power = _mm256_cvtps_epi32(n);
    const Int half = _mm256_srai_epi32(power, 1);
    return mul(mul(a, power_of_two(half)), power_of_two(_mm256_sub_epi32(power, half)));
  }
  /// `value` where mask is not 0, else `other`.
  static Float select(Float mask, Float value, Float other) {
    return _mm256_blendv_ps(other, value, _mm256_cmp_ps(mask, zero(), _CMP_NEQ_UQ));
  }

  static float sum(Float a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static float maximum(Float a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  /// Bit i: lane i equals that of b.
  static std::uint32_t equal(Float a, Float b) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)));
  }
  static bool all_finite(Float a) {
    const Float magnitude = _mm256_andnot_ps(set1(-0.0f), a);
    return _mm256_movemask_ps(_mm256_cmp_ps(magnitude, set1(__builtin_inff()), _CMP_NLT_UQ)) == 0;
  }

  /// Sums of f64.
  struct Double {
    __m256d low, high;
  };
  static Double zero_double() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static Double add(Double a, Float b) {
    return {_mm256_add_pd(a.low, _mm256_cvtps_pd(_mm256_castps256_ps128(b))),
            _mm256_add_pd(a.high, _mm256_cvtps_pd(_mm256_extractf128_ps(b, 1)))};
  }
  static double sum(Double a) {
    const __m256d both = _mm256_add_pd(a.low, a.high);
    const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(both), _mm256_extractf128_pd(both, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
  }

  /// Panels of bf16 pairs: the even and the odd element of each as floats.
  static Int load_pairs(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  static Float even_of(Int pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
  static Float odd_of(Int pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(~0xffff)));
  }

  /// The bits of bf16(a), to nearest even, in the low halves; NaN stays NaN.
  static Int bf16_bits(Float a) {
    const Int bits = _mm256_castps_si256(a);
    const Int odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const Int rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const Int quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const Int nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  }
  static Float round_bf16(Float a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(bf16_bits(a), 16));
  }
  static void store_bf16(std::uint16_t* to, Float a) {
    const Int bits = bf16_bits(a);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to),
        _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
  }

  /// Integers of 32 bits. to_int rounds to nearest even.
  static Int zero_int() { return _mm256_setzero_si256(); }
  static Int set1_int(std::int32_t value) { return _mm256_set1_epi32(value); }
  static Int add_int(Int a, Int b) { return _mm256_add_epi32(a, b); }
  static Int sub_int(Int a, Int b) { return _mm256_sub_epi32(a, b); }
  static Int max_int(Int a, Int b) { return _mm256_max_epi32(a, b); }
  static Int to_int(Float a) { return _mm256_cvtps_epi32(a); }
  static Float to_float(Int a) { return _mm256_cvtepi32_ps(a); }
  static Int magnitude_bits(Float a) {
    return _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7fffffff));
  }
  static std::int32_t sum_int(Int a) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    half = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
    return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 1);
  }
  static std::int32_t maximum_int(Int a) {
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    half = _mm_max_epi32(half, _mm_unpackhi_epi64(half, half));
    return _mm_cvtsi128_si32(_mm_max_epi32(half, _mm_shuffle_epi32(half, 1)));
  }
  /// The lanes, each in [-128, 127], as 8 bytes.
  static void store_int8(std::int32_t* to, Int a) {
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
  }

  static Int first_lanes(std::int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count < 8 ? count : 8)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Float power_of_two(Int n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
};

/// Packs [values][count] words of `count` rows.
inline void pack_rows_f32(const float* const* rows, int count, std::int64_t values, void* out) {
  auto* packed = static_cast<float*>(out);
  for (int row = 0; row < count; ++row) {
    const float* from = rows[row];
    for (std::int64_t k = 0; k < values; ++k) packed[k * count + row] = from[k];
  }
}

/// bf16 values kept as floats: [K][count], K even.
inline void pack_rows_bf16(const float* const* rows, int count, std::int64_t values, void* out) {
  auto* packed = static_cast<float*>(out);
  const std::int64_t steps = values + values % 2;
  for (int row = 0; row < count; ++row) {
    for (std::int64_t k = 0; k < steps; k += Simd::kWidth) {
      const std::int64_t valid = values - k < 8 ? values - k : 8;
      float rounded[8];
      Simd::store(rounded, Simd::round_bf16(Simd::load_first(rows[row] + k, valid, 0.0f)));
      const std::int64_t left = steps - k < 8 ? steps - k : 8;
      for (std::int64_t i = 0; i < left; ++i) packed[(k + i) * count + row] = rounded[i];
    }
  }
}

}  // namespace
}  // namespace fdllm::cpu
