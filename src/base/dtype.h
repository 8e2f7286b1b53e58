#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace fdllm {

/// Element types of stored tensors. From kQ8_0 on they are GGUF's block types (quant/): a block
/// holds 32 or 256 neighbours of a row together with their scales.
enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kIQ4_NL,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
};

struct DTypeInfo {
  const char* name;
  std::uint16_t block_elements;  ///< 1: no blocks
  std::uint16_t block_bytes;
};

inline constexpr std::array<DTypeInfo, 14> kDTypes = {{
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"BF16", 1, 2},
    {"Q8_0", 32, 34},
    {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},
    {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},
    {"IQ4_NL", 32, 18},
    {"Q2_K", 256, 84},
    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
}};

constexpr const DTypeInfo& info_of(DType type) {
  return kDTypes[static_cast<std::size_t>(type)];
}
constexpr const char* name_of(DType type) {
  return info_of(type).name;
}
constexpr std::size_t block_elements(DType type) {
  return info_of(type).block_elements;
}
constexpr std::size_t block_bytes(DType type) {
  return info_of(type).block_bytes;
}
constexpr bool is_block_type(DType type) {
  return block_elements(type) > 1;
}
/// Bytes of a row of `columns` elements, a multiple of block_elements(type).
constexpr std::size_t row_bytes(DType type, std::int64_t columns) {
  return static_cast<std::size_t>(columns) / block_elements(type) * block_bytes(type);
}

struct bf16 {
  std::uint16_t bits;
};
struct f16 {
  std::uint16_t bits;
};

constexpr float to_float(bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// Rounds to nearest, ties to even; NaN stays NaN.
constexpr bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  }
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

/// value rounded to bf16 and back.
constexpr float round_bf16(float value) {
  return to_float(to_bf16(value));
}

constexpr float to_float(f16 value) {
  const std::uint32_t sign = (value.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = value.bits & 0x3ffu;
  const float subnormal = static_cast<float>(static_cast<std::int32_t>(mantissa)) * 0x1p-24f;
  const std::uint32_t wide = exponent == 31 ? 0x7f800000u : (exponent + 112u) << 23;
  const std::uint32_t magnitude =
      exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : wide | (mantissa << 13);
  return std::bit_cast<float>(sign | magnitude);
}

/// Rounds to nearest, ties to even; too large a value becomes infinity, NaN stays NaN.
constexpr f16 to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t rounded;
  if (magnitude > 0x7f800000u) {
    rounded = 0x7e00u;
  } else if (magnitude >= 0x477ff000u) {  // halfway between the largest f16 and the next
    rounded = 0x7c00u;
  } else if (magnitude < 0x38800000u) {
    // Below the smallest normal f16: adding 0.5 leaves the value in units of 2^-24, rounded.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    rounded = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u;
  } else {
    rounded = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | rounded)};
}

}  // namespace fdllm
