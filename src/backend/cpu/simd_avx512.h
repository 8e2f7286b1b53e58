// Vectors of 16 floats, for the AVX-512 kernel files only. Everything is in an anonymous namespace
// and nothing of the standard library is used, so that no function compiled for AVX-512 can be
// shared with the rest of the program.
#pragma once
#include <cstdint>

#include <immintrin.h>

namespace fdllm::cpu {
namespace {

struct Simd {
  static constexpr int kWidth = 16;
  using Float = __m512;
  using Int = __m512i;

  static Float zero() { return _mm512_setzero_ps(); }
  static Float set1(float value) { return _mm512_set1_ps(value); }
  static Float load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Float value) { _mm512_storeu_ps(to, value); }
  /// The first `count` lanes (0 .. 16) from memory, `fill` in the others.
  static Float load_first(const float* from, std::int64_t count, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(count), from);
  }
  static void store_first(float* to, std::int64_t count, Float value) {
    _mm512_mask_storeu_ps(to, first_lanes(count), value);
  }

  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float sub(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float div(Float a, Float b) { return _mm512_div_ps(a, b); }
  /// a * b + c
  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  /// c - a * b
  static Float fnma(Float a, Float b, Float c) { return _mm512_fnmadd_ps(a, b, c); }
  /// The second operand where either is NaN.
  static Float max(Float a, Float b) { return _mm512_max_ps(a, b); }
  static Float min(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float round(Float a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// a * 2^n for integral n.
  static Float scale_by_power(Float a, Float n) { return _mm512_scalef_ps(a, n); }
  /// `value` where mask is not 0, else `other`.
  static Float select(Float mask, Float value, Float other) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(mask, zero(), _CMP_NEQ_UQ), other, value);
  }

  static float sum(Float a) { return _mm512_reduce_add_ps(a); }
  static float maximum(Float a) { return _mm512_reduce_max_ps(a); }
  /// Bit i: lane i equals that of b.
  static std::uint32_t equal(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static bool all_finite(Float a) {
    return _mm512_cmp_ps_mask(_mm512_abs_ps(a), set1(__builtin_inff()), _CMP_NLT_UQ) == 0;
  }

  /// Sums of f64.
  struct Double {
    __m512d low, high;
  };
  static Double zero_double() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static Double add(Double a, Float b) {
    return {_mm512_add_pd(a.low, _mm512_cvtps_pd(_mm512_castps512_ps256(b))),
            _mm512_add_pd(a.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(b, 1)))};
  }
  static double sum(Double a) { return _mm512_reduce_add_pd(_mm512_add_pd(a.low, a.high)); }

  /// Panels of bf16 pairs: the even and the odd element of each as floats.
  static Int load_pairs(const void* from) { return _mm512_loadu_si512(from); }
  static Float even_of(Int pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
  static Float odd_of(Int pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(~0xffff)));
  }

  /// The bits of bf16(a), to nearest even, in the low halves; NaN stays NaN.
  static Int bf16_bits(Float a) {
    const Int bits = _mm512_castps_si512(a);
    const Int odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const Int rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const Int quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return _mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16);
  }
  static Float round_bf16(Float a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(bf16_bits(a), 16));
  }
  static void store_bf16(std::uint16_t* to, Float a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(bf16_bits(a)));
  }

  /// Integers of 32 bits. to_int rounds to nearest even.
  static Int zero_int() { return _mm512_setzero_si512(); }
  static Int set1_int(std::int32_t value) { return _mm512_set1_epi32(value); }
  static Int add_int(Int a, Int b) { return _mm512_add_epi32(a, b); }
  static Int sub_int(Int a, Int b) { return _mm512_sub_epi32(a, b); }
  static Int max_int(Int a, Int b) { return _mm512_max_epi32(a, b); }
  static Int to_int(Float a) { return _mm512_cvtps_epi32(a); }
  static Float to_float(Int a) { return _mm512_cvtepi32_ps(a); }
  static Int magnitude_bits(Float a) {
    return _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff));
  }
  static std::int32_t sum_int(Int a) { return _mm512_reduce_add_epi32(a); }
  static std::int32_t maximum_int(Int a) { return _mm512_reduce_max_epi32(a); }
  /// The lanes, each in [-128, 127], as 16 bytes.
  static void store_int8(std::int32_t* to, Int a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(a));
  }

  static __mmask16 first_lanes(std::int64_t count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << count) - 1u);
  }
};

/// rows[i] lane j <-> rows[j] lane i, 16 x 16 words.
inline void transpose16(__m512i (&rows)[16]) {
  __m512i t[16];
  for (std::int64_t i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  for (std::int64_t i = 0; i < 4; ++i) {
    rows[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    rows[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    rows[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    rows[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

/// Packs [steps][count] words from `count` rows; load(row, step, left) gives 16 words of a row from
/// `step` on, of which `left` (>= 1) exist.
template <typename Load>
void pack_words(int count, std::int64_t steps, void* out, Load&& load) {
  auto* packed = static_cast<std::uint32_t*>(out);
  const __mmask16 lanes = Simd::first_lanes(count);
  for (std::int64_t step = 0; step < steps; step += 16) {
    __m512i rows[16];
    for (int i = 0; i < 16; ++i) {
      rows[i] = i < count ? load(i, step, steps - step) : _mm512_setzero_si512();
    }
    transpose16(rows);
    const std::int64_t left = steps - step < 16 ? steps - step : 16;
    for (int i = 0; i < left; ++i, packed += count) {
      _mm512_mask_storeu_epi32(packed, lanes, rows[i]);
    }
  }
}

inline void pack_rows_f32(const float* const* rows, int count, std::int64_t values, void* out) {
  pack_words(count, values, out, [rows](int row, std::int64_t step, std::int64_t left) {
    return _mm512_castps_si512(Simd::load_first(rows[row] + step, left, 0.0f));
  });
}

#if defined(__AVX512BF16__)
/// Pairs of bf16 for dot instructions: [K/2][count][2].
inline void pack_rows_bf16(const float* const* rows, int count, std::int64_t values, void* out) {
  const auto load = [rows, values](int row, std::int64_t step, std::int64_t /*left*/) {
    const std::int64_t k = 2 * step;
    const float* from = rows[row] + k;
    const __m512 low = Simd::load_first(from, values - k, 0.0f);
    if (values - k <= 16) return (__m512i)_mm512_cvtne2ps_pbh(Simd::zero(), low);
    return (__m512i)_mm512_cvtne2ps_pbh(Simd::load_first(from + 16, values - k - 16, 0.0f), low);
  };
  pack_words(count, (values + 1) / 2, out, load);
}
#else
/// bf16 values kept as floats: [K][count], K even.
inline void pack_rows_bf16(const float* const* rows, int count, std::int64_t values, void* out) {
  const std::int64_t steps = values + values % 2;
  pack_words(count, steps, out, [rows, values](int row, std::int64_t step, std::int64_t /*left*/) {
    const std::int64_t left = values - step > 0 ? values - step : 0;
    return _mm512_castps_si512(Simd::round_bf16(Simd::load_first(rows[row] + step, left, 0.0f)));
  });
}
#endif

}  // namespace
}  // namespace fdllm::cpu
