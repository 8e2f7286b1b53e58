#include "quant/simple_blocks.h"

#include <cmath>

#include "quant/nearest.h"

namespace fdllm {
namespace {

constexpr int kHalf = kSimpleBlock / 2;

std::uint32_t high_bits(const std::array<std::uint8_t, 4>& bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
}

/// 16 in units of the code where element j has its fifth bit.
int fifth_bit(std::uint32_t high, int j) {
  return static_cast<int>((high >> j) & 1u) << 4;
}

/// The value of largest magnitude, with its sign.
float peak(const float* values) {
  float found = 0;
  for (int j = 0; j < kSimpleBlock; ++j) {
    if (std::fabs(values[j]) > std::fabs(found)) found = values[j];
  }
  return found;
}

float reciprocal(float scale) {
  return scale == 0 ? 0.0f : 1.0f / scale;
}

}  // namespace

void decode(const BlockQ8_0& block, float* values) {
  const float d = to_float(block.d);
  for (int j = 0; j < kSimpleBlock; ++j) values[j] = static_cast<float>(block.q[j]) * d;
}

void decode(const BlockQ4_0& block, float* values) {
  const float d = to_float(block.d);
  for (int j = 0; j < kHalf; ++j) {
    values[j] = static_cast<float>((block.q[j] & 15) - 8) * d;
    values[j + kHalf] = static_cast<float>((block.q[j] >> 4) - 8) * d;
  }
}

void decode(const BlockQ4_1& block, float* values) {
  const float d = to_float(block.d);
  const float m = to_float(block.m);
  for (int j = 0; j < kHalf; ++j) {
    values[j] = static_cast<float>(block.q[j] & 15) * d + m;
    values[j + kHalf] = static_cast<float>(block.q[j] >> 4) * d + m;
  }
}

void decode(const BlockQ5_0& block, float* values) {
  const float d = to_float(block.d);
  const std::uint32_t high = high_bits(block.high);
  for (int j = 0; j < kHalf; ++j) {
    values[j] = static_cast<float>(((block.q[j] & 15) | fifth_bit(high, j)) - 16) * d;
    values[j + kHalf] =
        static_cast<float>(((block.q[j] >> 4) | fifth_bit(high, j + kHalf)) - 16) * d;
  }
}

void decode(const BlockQ5_1& block, float* values) {
  const float d = to_float(block.d);
  const float m = to_float(block.m);
  const std::uint32_t high = high_bits(block.high);
  for (int j = 0; j < kHalf; ++j) {
    values[j] = static_cast<float>((block.q[j] & 15) | fifth_bit(high, j)) * d + m;
    values[j + kHalf] = static_cast<float>((block.q[j] >> 4) | fifth_bit(high, j + kHalf)) * d + m;
  }
}

void decode(const BlockIQ4_NL& block, float* values) {
  const float d = to_float(block.d);
  for (int j = 0; j < kHalf; ++j) {
    values[j] = d * static_cast<float>(kIq4Values[block.q[j] & 15]);
    values[j + kHalf] = d * static_cast<float>(kIq4Values[block.q[j] >> 4]);
  }
}

// Codes are chosen for the scale as stored, so that its rounding costs nothing twice.

void encode(const float* values, BlockQ8_0& block) {
  block.d = to_f16(std::fabs(peak(values)) / 127.0f);
  const float inverse = reciprocal(to_float(block.d));
  for (int j = 0; j < kSimpleBlock; ++j) {
    block.q[j] = static_cast<std::int8_t>(nearest_in(values[j] * inverse, -127.0f, 127.0f));
  }
}

void encode(const float* values, BlockQ4_0& block) {
  // The codes reach one step further down than up, so the peak goes to the lower end.
  block.d = to_f16(peak(values) / -8.0f);
  const float inverse = reciprocal(to_float(block.d));
  const auto code = [&](float value) { return nearest_in(value * inverse, -8.0f, 7.0f) + 8; };
  for (int j = 0; j < kHalf; ++j) {
    block.q[j] = static_cast<std::uint8_t>(code(values[j]) | code(values[j + kHalf]) << 4);
  }
}

void encode(const float* values, BlockQ5_0& block) {
  block.d = to_f16(peak(values) / -16.0f);
  const float inverse = reciprocal(to_float(block.d));
  std::uint32_t high = 0;
  const auto low_bits = [&](int j) {
    const auto code =
        static_cast<std::uint32_t>(nearest_in(values[j] * inverse, -16.0f, 15.0f) + 16);
    high |= (code >> 4) << j;
    return code & 15u;
  };
  for (int j = 0; j < kHalf; ++j) {
    const std::uint32_t low = low_bits(j);
    block.q[j] = static_cast<std::uint8_t>(low | low_bits(j + kHalf) << 4);
  }
  for (int j = 0; j < 4; ++j) block.high[j] = static_cast<std::uint8_t>(high >> (8 * j));
}

}  // namespace fdllm
