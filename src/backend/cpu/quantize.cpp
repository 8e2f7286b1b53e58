#include "backend/cpu/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// The value of largest magnitude; NaN where one is not finite.
float extreme_of(std::span<const float> values) {
  float lowest = 0;
  float highest = 0;
  bool finite = true;
  for (const float value : values) {
    finite = finite && std::isfinite(value);
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  if (!finite) return kNan;
  return -lowest > highest ? lowest : highest;
}

/// 1.5 * 2^23: adding it rounds |x| < 2^22 to nearest even in the low bits of the sum.
constexpr float kRounder = 12582912.0f;

float round_within(float value, float low, float high) {
  return std::clamp((value + kRounder) - kRounder, low, high);
}

}  // namespace

float quantize_weights_int8(std::span<const float> values, std::int8_t* quantized) {
  const float largest = std::abs(extreme_of(values));
  if (!(largest >= kSmallestQuantized)) {
    std::fill_n(quantized, values.size(), std::int8_t{0});
    return std::isnan(largest) ? kNan : 0.0f;
  }
  const float inverse = 127.0f / largest;
  for (std::size_t i = 0; i < values.size(); ++i) {
    quantized[i] = static_cast<std::int8_t>(round_within(values[i] * inverse, -127.0f, 127.0f));
  }
  return largest / 127.0f;
}

float quantize_weights_int4(std::span<const float> values, std::int8_t* quantized) {
  const float extreme = extreme_of(values);
  if (!(std::abs(extreme) >= kSmallestQuantized)) {
    std::fill_n(quantized, values.size(), std::int8_t{0});
    return std::isnan(extreme) ? kNan : 0.0f;
  }
  // The error of a fitted scale is sum w^2 - (sum w q)^2 / sum q^2: the best has the largest gain.
  float best_gain = -1;
  float best_steps = 0;
  float best_scale = 0;
  const float unit = 1.0f / extreme;
  for (const float steps : {-8.0f, 8.0f, -9.0f, 7.0f}) {
    float products = 0;
    float squares = 0;  // at least 49: the extreme itself
    for (const float value : values) {
      // In units of the extreme, so that nothing overflows or vanishes.
      const float relative = value * unit;
      const float q = round_within(relative * steps, -8.0f, 7.0f);
      products += relative * q;
      squares += q * q;
    }
    const float gain = products * products / squares;
    if (gain > best_gain) {
      best_gain = gain;
      best_steps = steps;
      best_scale = products / squares * extreme;
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    quantized[i] =
        static_cast<std::int8_t>(round_within(values[i] * unit * best_steps, -8.0f, 7.0f));
  }
  return best_scale;
}

}  // namespace fdllm::cpu
