// Kernels over one row, written once over Simd. Included by the vector kernel files only, after
// simd_*.h.
#pragma once
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

constexpr float kInfinity = __builtin_inff();

/// exp(x) to about 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, exp(r) by a polynomial. 0 below the
/// smallest number, infinity above the largest, NaN for NaN.
inline Simd::Float exp(Simd::Float x) {
  x = Simd::max(Simd::set1(-110.0f), Simd::min(Simd::set1(90.0f), x));
  const Simd::Float n = Simd::round(Simd::mul(x, Simd::set1(1.44269504f)));
  // ln 2 in two parts, the first with few bits so that n times it is exact.
  Simd::Float r = Simd::fnma(n, Simd::set1(0.693359375f), x);
  r = Simd::fnma(n, Simd::set1(-2.12194440e-4f), r);
  Simd::Float p = Simd::set1(1.98756915e-4f);
  p = Simd::fma(p, r, Simd::set1(1.39819995e-3f));
  p = Simd::fma(p, r, Simd::set1(8.33345191e-3f));
  p = Simd::fma(p, r, Simd::set1(4.16657959e-2f));
  p = Simd::fma(p, r, Simd::set1(1.66666657e-1f));
  p = Simd::fma(p, r, Simd::set1(5.00000012e-1f));
  p = Simd::fma(p, Simd::mul(r, r), Simd::add(r, Simd::set1(1.0f)));
  return Simd::scale_by_power(p, n);
}

/// Calls body(first, count) for the vectors of n elements; count < kWidth in the last one only.
template <typename Body>
void for_vectors(std::int64_t n, Body&& body) {
  std::int64_t i = 0;
  for (; i + Simd::kWidth <= n; i += Simd::kWidth) body(i, std::int64_t{Simd::kWidth});
  if (i < n) body(i, n - i);
}

inline Simd::Float load_upto(const float* from, std::int64_t count, float fill) {
  return count == Simd::kWidth ? Simd::load(from) : Simd::load_first(from, count, fill);
}

inline void store_upto(float* to, std::int64_t count, Simd::Float value) {
  if (count == Simd::kWidth) {
    Simd::store(to, value);
  } else {
    Simd::store_first(to, count, value);
  }
}

inline void rms_norm(const float* x, const float* weight, float eps, std::int64_t n, float* out) {
  Simd::Float squares = Simd::zero();
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float value = load_upto(x + i, count, 0.0f);
    squares = Simd::fma(value, value, squares);
  });
  const float mean = Simd::sum(squares) / static_cast<float>(n);
  const Simd::Float factor = Simd::set1(1.0f / __builtin_sqrtf(mean + eps));
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float scaled = Simd::mul(load_upto(x + i, count, 0.0f), factor);
    store_upto(out + i, count, Simd::mul(scaled, load_upto(weight + i, count, 0.0f)));
  });
}

inline void swiglu(const float* gate, const float* up, std::int64_t n, float* out) {
  const Simd::Float one = Simd::set1(1.0f);
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float g = load_upto(gate + i, count, 0.0f);
    const Simd::Float silu = Simd::div(g, Simd::add(one, exp(Simd::sub(Simd::zero(), g))));
    store_upto(out + i, count, Simd::mul(silu, load_upto(up + i, count, 0.0f)));
  });
}

inline void rope(float* x, const float* cos, const float* sin, std::int64_t half) {
  for_vectors(half, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float c = load_upto(cos + i, count, 0.0f);
    const Simd::Float s = load_upto(sin + i, count, 0.0f);
    const Simd::Float first = load_upto(x + i, count, 0.0f);
    const Simd::Float second = load_upto(x + half + i, count, 0.0f);
    store_upto(x + i, count, Simd::fnma(second, s, Simd::mul(first, c)));
    store_upto(x + half + i, count, Simd::fma(first, s, Simd::mul(second, c)));
  });
}

inline void round_to_bf16(const float* x, std::int64_t n, std::uint16_t* out) {
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    if (count == Simd::kWidth) {
      Simd::store_bf16(out + i, Simd::load(x + i));
      return;
    }
    std::uint16_t bits[Simd::kWidth];
    Simd::store_bf16(bits, Simd::load_first(x + i, count, 0.0f));
    for (std::int64_t j = 0; j < count; ++j) out[i + j] = bits[j];
  });
}

inline void softmax_block(SoftmaxBlock& block) {
  const Simd::Float factor = Simd::set1(block.scale);
  const Simd::Float masked = Simd::set1(-kInfinity);
  Simd::Float maxima = masked;
  for_vectors(block.keys, [&](std::int64_t i, std::int64_t count) {
    Simd::Float score = Simd::mul(load_upto(block.scores + i, count, -kInfinity), factor);
    if (block.mask != nullptr) {
      score = Simd::select(load_upto(block.mask + i, count, 0.0f), score, masked);
    }
    store_upto(block.scores + i, count, score);
    maxima = Simd::max(maxima, score);
  });
  const float found = Simd::maximum(maxima);
  const float maximum = found > block.maximum ? found : block.maximum;
  float rescale[Simd::kWidth];
  Simd::store(rescale, exp(Simd::set1(block.maximum - maximum)));
  block.rescale = rescale[0];
  const Simd::Float subtrahend = Simd::set1(maximum);
  Simd::Float sums = Simd::zero();
  for_vectors(block.keys, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float score = load_upto(block.scores + i, count, -kInfinity);
    const Simd::Float weight = exp(Simd::sub(score, subtrahend));
    store_upto(block.scores + i, count, weight);
    sums = Simd::add(sums, weight);
  });
  block.sum = block.sum * block.rescale + Simd::sum(sums);
  block.maximum = maximum;
}

inline void scale(float* x, std::int64_t n, float factor) {
  const Simd::Float factors = Simd::set1(factor);
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    store_upto(x + i, count, Simd::mul(load_upto(x + i, count, 0.0f), factors));
  });
}

inline LogitStatistics logit_statistics(const float* logits, std::int64_t n) {
  // The last vector is filled up with a logit, which changes neither maximum nor finiteness.
  Simd::Float maxima = Simd::set1(-kInfinity);
  bool finite = true;
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float value = load_upto(logits + i, count, logits[0]);
    maxima = Simd::max(maxima, value);
    finite = finite & Simd::all_finite(value);
  });
  LogitStatistics statistics{Simd::maximum(maxima), 0, finite};
  if (!finite) return statistics;
  const Simd::Float maximum = Simd::set1(statistics.maximum);
  for (std::int64_t i = 0; i < n; i += Simd::kWidth) {
    const std::int64_t left = n - i < Simd::kWidth ? n - i : Simd::kWidth;
    const std::uint32_t equal = Simd::equal(load_upto(logits + i, left, -kInfinity), maximum);
    if (equal != 0) {
      statistics.index = i + __builtin_ctz(equal);
      break;
    }
  }
  return statistics;
}

inline double exp_sum(const float* logits, std::int64_t n, float maximum,
                      float inverse_temperature) {
  const Simd::Float subtrahend = Simd::set1(maximum);
  const Simd::Float factor = Simd::set1(inverse_temperature);
  Simd::Double sums = Simd::zero_double();
  for_vectors(n, [&](std::int64_t i, std::int64_t count) {
    const Simd::Float distance = Simd::sub(load_upto(logits + i, count, -kInfinity), subtrahend);
    sums = Simd::add(sums, exp(Simd::mul(distance, factor)));
  });
  return Simd::sum(sums);
}

/// The table of this file's instruction set.
constexpr KernelTable vector_table(const char* name, GemmKernels f32, GemmKernels bf16,
                                   IntegerKernels integer) {
  return {
      .name = name,
      .f32 = f32,
      .bf16 = bf16,
      .integer = integer,
      .rms_norm = rms_norm,
      .swiglu = swiglu,
      .rope = rope,
      .round_bf16 = round_to_bf16,
      .softmax_block = softmax_block,
      .scale = scale,
      .logit_statistics = logit_statistics,
      .exp_sum = exp_sum,
  };
}

}  // namespace
}  // namespace fdllm::cpu
