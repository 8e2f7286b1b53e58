#include "base/rng.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known-answer vectors of philox4x32-10 that the authors publish with Random123.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox(0, {0, 0, 0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~std::uint64_t{0}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(std::uint64_t{0x299f31d0} << 32 | 0xa4093822,
                   {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Uniform, UsesTheTopBitsOfTheFirstTwoWords) {
  const Words words = philox(7, {3, 11, 5, 1});
  const std::uint64_t bits = std::uint64_t{words[0]} << 32 | words[1];
  const double found = uniform(7, RandomStream::kConfidence, 11, 5, 3);
  EXPECT_EQ(found, std::ldexp(static_cast<double>(bits >> 11), -53));
}

TEST(Uniform, EveryPartOfTheKeyMatters) {
  std::set<double> values;
  values.insert(uniform(1, RandomStream::kGumbel, 2, 3, 4));
  values.insert(uniform(9, RandomStream::kGumbel, 2, 3, 4));
  values.insert(uniform(1, RandomStream::kSelection, 2, 3, 4));
  values.insert(uniform(1, RandomStream::kGumbel, 9, 3, 4));
  values.insert(uniform(1, RandomStream::kGumbel, 2, 9, 4));
  values.insert(uniform(1, RandomStream::kGumbel, 2, 3, 9));
  values.insert(uniform(std::uint64_t{1} << 40 | 1, RandomStream::kGumbel, 2, 3, 4));
  EXPECT_EQ(values.size(), 7u);
}

TEST(Uniform, IsUniform) {
  constexpr int kCount = 100000;
  constexpr int kBins = 20;
  std::array<int, kBins> histogram{};
  for (int i = 0; i < kCount; ++i) {
    const double value = uniform(42, RandomStream::kGumbel, i % 100, i / 100, 5);
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    ++histogram[static_cast<std::size_t>(value * kBins)];
  }
  double chi_square = 0;
  for (const int count : histogram) {
    const double difference = count - kCount / kBins;
    chi_square += difference * difference / (kCount / kBins);
  }
  EXPECT_LT(chi_square, 43.8) << "19 degrees of freedom, p = 0.001";
}

}  // namespace
}  // namespace fdllm
