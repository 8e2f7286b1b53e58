#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

// GGUF's types with super-blocks of 256 neighbours in groups of 16 or 32. d (and dmin) scale the
// groups' integer scales (and minima).
namespace fdllm {

inline constexpr int kSuperBlock = 256;

/// 16 groups of 16: x = d s q - dmin m; `scales` has s in its low and m in its high 4 bits. Byte 32
/// h + l of q holds elements 128 h + 32 i + l for i = 0 .. 3, two bits each.
struct BlockQ2_K {
  static constexpr DType kType = DType::kQ2_K;
  std::array<std::uint8_t, 16> scales;
  std::array<std::uint8_t, 64> q;
  f16 d, dmin;
};
/// 16 groups of 16: x = d (s - 32) (q - 4); q's low bits as in Q2_K, its third bit in bit 4 h + i
/// of high[l]. The 6-bit scales: s of group g has its low 4 bits in half g / 8 of byte g % 8, its
/// high 2 bits at 2 (g / 4) of byte 8 + g % 4.
struct BlockQ3_K {
  static constexpr DType kType = DType::kQ3_K;
  std::array<std::uint8_t, 32> high;
  std::array<std::uint8_t, 64> q;
  std::array<std::uint8_t, 12> scales;
  f16 d;
};
/// 8 groups of 32: x = d s q - dmin m. Byte 32 p + l of q holds element 64 p + l in its low and
/// 64 p + 32 + l in its high half. `scales`: see group_scale().
struct BlockQ4_K {
  static constexpr DType kType = DType::kQ4_K;
  f16 d, dmin;
  std::array<std::uint8_t, 12> scales;
  std::array<std::uint8_t, 128> q;
};
/// As Q4_K; bit g of high[l] is the fifth bit of element 32 g + l.
struct BlockQ5_K {
  static constexpr DType kType = DType::kQ5_K;
  f16 d, dmin;
  std::array<std::uint8_t, 12> scales;
  std::array<std::uint8_t, 32> high;
  std::array<std::uint8_t, 128> q;
};
/// 16 groups of 16: x = d s (q - 32). Element 128 h + 32 i + l has its low 4 bits in half i / 2 of
/// low[64 h + 32 (i % 2) + l], its high 2 bits at 2 i of high[32 h + l].
struct BlockQ6_K {
  static constexpr DType kType = DType::kQ6_K;
  std::array<std::uint8_t, 128> low;
  std::array<std::uint8_t, 64> high;
  std::array<std::int8_t, 16> scales;
  f16 d;
};

/// The 6-bit scale s and minimum m of one of 8 groups of Q4_K and Q5_K. Groups 0 to 3 have theirs
/// in the low 6 bits of bytes g and g + 4; of groups 4 to 7 byte g + 4 holds the low 4 bits of
/// both, the high 2 bits fill up bytes g - 4 and g.
struct GroupScale {
  int s, m;
};
GroupScale group_scale(const std::array<std::uint8_t, 12>& scales, int group);

void decode(const BlockQ2_K& block, float* values);
void decode(const BlockQ3_K& block, float* values);
void decode(const BlockQ4_K& block, float* values);
void decode(const BlockQ5_K& block, float* values);
void decode(const BlockQ6_K& block, float* values);

void encode(const float* values, BlockQ4_K& block);
void encode(const float* values, BlockQ6_K& block);

}  // namespace fdllm
