#include "base/dtype.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

std::uint32_t bits_of(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
float float_of(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}

TEST(DType, SizesAndNames) {
  EXPECT_EQ(row_bytes(DType::kF32, 3), 12u);
  EXPECT_EQ(row_bytes(DType::kF16, 3), 6u);
  EXPECT_EQ(row_bytes(DType::kBF16, 3), 6u);
  EXPECT_EQ(row_bytes(DType::kQ8_0, 96), 102u);
  EXPECT_EQ(row_bytes(DType::kQ4_K, 512), 288u);
  EXPECT_FALSE(is_block_type(DType::kBF16));
  EXPECT_TRUE(is_block_type(DType::kQ4_0));
  EXPECT_STREQ(name_of(DType::kF32), "F32");
  EXPECT_STREQ(name_of(DType::kF16), "F16");
  EXPECT_STREQ(name_of(DType::kBF16), "BF16");
  EXPECT_STREQ(name_of(DType::kQ8_0), "Q8_0");
  EXPECT_STREQ(name_of(DType::kIQ4_NL), "IQ4_NL");
  EXPECT_STREQ(name_of(DType::kQ2_K), "Q2_K");
  EXPECT_STREQ(name_of(DType::kQ6_K), "Q6_K");
}

TEST(F16, EveryValueSurvivesARoundTrip) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const float wide = to_float(f16{static_cast<std::uint16_t>(bits)});
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(wide)))) << bits;
    } else {
      EXPECT_EQ(to_f16(wide).bits, bits);
    }
  }
}

TEST(F16, RoundsToNearestTiesToEven) {
  for (std::uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = to_float(f16{bits});
    const float high = to_float(f16{static_cast<std::uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;  // exact: f32 has the bits
    EXPECT_EQ(to_f16(middle).bits, bits + (bits & 1)) << bits;
    EXPECT_EQ(to_f16(std::nextafter(middle, 0.0f)).bits, bits) << bits;
    EXPECT_EQ(to_f16(std::nextafter(middle, 1e9f)).bits, bits + 1) << bits;
    EXPECT_EQ(to_f16(-middle).bits, 0x8000 + bits + (bits & 1)) << bits;
  }
}

TEST(F16, OverflowsToInfinity) {
  EXPECT_EQ(to_f16(65504.0f).bits, 0x7bff);
  EXPECT_EQ(to_f16(std::nextafter(65520.0f, 0.0f)).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_f16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::infinity()).bits, 0x7c00);
}

TEST(F16, EveryValueMatchesTheDefinition) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const float found = to_float(f16{static_cast<std::uint16_t>(bits)});
    const int exponent = static_cast<int>((bits >> 10) & 31);
    const double fraction = static_cast<double>(bits & 1023) / 1024.0;
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31 && fraction != 0) {
      EXPECT_TRUE(std::isnan(found)) << bits;
      continue;
    }
    double expected = 0;
    if (exponent == 31) {
      expected = sign * std::numeric_limits<double>::infinity();
    } else if (exponent == 0) {
      expected = sign * fraction * std::pow(2.0, -14);
    } else {
      expected = sign * (1 + fraction) * std::pow(2.0, exponent - 15);
    }
    EXPECT_EQ(static_cast<double>(found), expected) << bits;
    EXPECT_EQ(std::signbit(found), sign < 0) << bits;
  }
}

TEST(BF16, EveryValueSurvivesARoundTrip) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const bf16 value{static_cast<std::uint16_t>(bits)};
    const float wide = to_float(value);
    EXPECT_EQ(bits_of(wide), bits << 16);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(round_bf16(wide))) << bits;
    } else {
      EXPECT_EQ(to_bf16(wide).bits, bits);
    }
  }
}

TEST(BF16, RoundsToNearestTiesToEven) {
  // Between 1 (0x3f80) and its successor 0x3f81.
  EXPECT_EQ(to_bf16(float_of(0x3f807fff)).bits, 0x3f80);
  EXPECT_EQ(to_bf16(float_of(0x3f808000)).bits, 0x3f80) << "a tie goes to the even 0x3f80";
  EXPECT_EQ(to_bf16(float_of(0x3f808001)).bits, 0x3f81);
  EXPECT_EQ(to_bf16(float_of(0x3f818000)).bits, 0x3f82) << "a tie goes to the even 0x3f82";
  EXPECT_EQ(to_bf16(float_of(0xbf808000)).bits, 0xbf80);
  EXPECT_EQ(to_bf16(float_of(0xbf818000)).bits, 0xbf82);
}

TEST(BF16, RoundingIsTheNearestNeighbour) {
  for (std::uint32_t i = 0; i < 100000; ++i) {
    const float value = float_of((i * 2654435761u) & 0xff7fffffu);
    if (!std::isfinite(value)) continue;
    const auto low = std::bit_cast<std::uint32_t>(value) & 0xffff0000u;
    const double below = float_of(low);
    // The next magnitude may be infinity, whose distance counts as if the exponent went on.
    const double step = std::ldexp(1.0, std::max(std::ilogb(value), -126) - 7);
    const double above = below + std::copysign(step, static_cast<double>(value));
    const double to_below = std::fabs(value - below);
    const double to_above = std::fabs(above - value);
    std::uint32_t expected = low;
    if (to_above < to_below || (to_above == to_below && (low & 0x10000u) != 0))
      expected += 0x10000u;
    EXPECT_EQ(bits_of(round_bf16(value)), expected) << value;
  }
}

TEST(BF16, OverflowsToInfinityAndKeepsNaN) {
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(to_bf16(-std::numeric_limits<float>::infinity()).bits, 0xff80);
  // A NaN whose payload is only in the bits that are cut off must not become infinity.
  EXPECT_TRUE(std::isnan(round_bf16(float_of(0x7f800001))));
  EXPECT_TRUE(std::isnan(round_bf16(float_of(0xffffffff))));
  EXPECT_EQ(to_bf16(-0.0f).bits, 0x8000);
}

}  // namespace
}  // namespace fdllm
