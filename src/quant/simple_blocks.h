#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

// GGUF's types with blocks of 32 neighbours. d is the block's scale, m its minimum. Of 4-bit codes
// byte j holds element j in its low half and element j + 16 in its high half.
namespace fdllm {

inline constexpr int kSimpleBlock = 32;

/// x = d q
struct BlockQ8_0 {
  static constexpr DType kType = DType::kQ8_0;
  f16 d;
  std::array<std::int8_t, 32> q;
};
/// x = d (q - 8)
struct BlockQ4_0 {
  static constexpr DType kType = DType::kQ4_0;
  f16 d;
  std::array<std::uint8_t, 16> q;
};
/// x = d q + m
struct BlockQ4_1 {
  static constexpr DType kType = DType::kQ4_1;
  f16 d, m;
  std::array<std::uint8_t, 16> q;
};
/// x = d (q - 16); bit j of `high` (little endian) is the fifth bit of element j.
struct BlockQ5_0 {
  static constexpr DType kType = DType::kQ5_0;
  f16 d;
  std::array<std::uint8_t, 4> high;
  std::array<std::uint8_t, 16> q;
};
/// x = d q + m
struct BlockQ5_1 {
  static constexpr DType kType = DType::kQ5_1;
  f16 d, m;
  std::array<std::uint8_t, 4> high;
  std::array<std::uint8_t, 16> q;
};
/// x = d kIq4Values[q]
struct BlockIQ4_NL {
  static constexpr DType kType = DType::kIQ4_NL;
  f16 d;
  std::array<std::uint8_t, 16> q;
};

/// The 16 levels of IQ4_NL: denser around 0.
inline constexpr std::array<std::int8_t, 16> kIq4Values = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decode(const BlockQ8_0& block, float* values);
void decode(const BlockQ4_0& block, float* values);
void decode(const BlockQ4_1& block, float* values);
void decode(const BlockQ5_0& block, float* values);
void decode(const BlockQ5_1& block, float* values);
void decode(const BlockIQ4_NL& block, float* values);

void encode(const float* values, BlockQ8_0& block);
void encode(const float* values, BlockQ4_0& block);
void encode(const float* values, BlockQ5_0& block);

}  // namespace fdllm
