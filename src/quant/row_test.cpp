#include "quant/row.h"

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

namespace fdllm {
namespace {

constexpr std::size_t kGoldenBlocks = 4;

struct Golden {
  DType type;
  std::vector<std::byte> bytes;
  std::vector<float> values;
};

std::vector<DType> block_types() {
  std::vector<DType> types;
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (is_block_type(static_cast<DType>(i))) types.push_back(static_cast<DType>(i));
  }
  return types;
}

/// tests/golden/gguf-blocks.bin, see tools/make_block_goldens.py.
std::vector<Golden> read_goldens() {
  std::ifstream file(FASTDLLM_SOURCE_DIR "/tests/golden/gguf-blocks.bin", std::ios::binary);
  std::vector<Golden> goldens;
  for (const DType type : block_types()) {
    Golden& golden = goldens.emplace_back();
    golden.type = type;
    golden.bytes.resize(kGoldenBlocks * block_bytes(type));
    golden.values.resize(kGoldenBlocks * block_elements(type));
    file.read(reinterpret_cast<char*>(golden.bytes.data()), std::ssize(golden.bytes));
    file.read(reinterpret_cast<char*>(golden.values.data()),
              std::ssize(golden.values) * std::ptrdiff_t{sizeof(float)});
    EXPECT_TRUE(file.good()) << name_of(type);
  }
  EXPECT_EQ(file.peek(), std::ifstream::traits_type::eof());
  return goldens;
}

std::vector<float> normal_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<std::byte> encoded(DType type, const std::vector<float>& values) {
  std::vector<std::byte> row(row_bytes(type, std::ssize(values)));
  encode_row(type, values, row);
  return row;
}

std::vector<float> decoded(DType type, std::span<const std::byte> row, std::size_t count) {
  std::vector<float> values(count);
  decode_row(type, row, values);
  return values;
}

/// Root of the squared error over the squared values.
double relative_error(const std::vector<float>& values, const std::vector<float>& found) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(double{found[i]} - double{values[i]}, 2);
    size += std::pow(double{values[i]}, 2);
  }
  return std::sqrt(error / size);
}

TEST(DecodeRow, IsBitForBitWhatGgufReads) {
  for (const Golden& golden : read_goldens()) {
    const auto values = decoded(golden.type, golden.bytes, golden.values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]),
                std::bit_cast<std::uint32_t>(golden.values[i]))
          << name_of(golden.type) << " element " << i << ": " << values[i] << " and "
          << golden.values[i];
    }
  }
}

TEST(DecodeRow, ReadsFromAnyAddress) {
  for (const Golden& golden : read_goldens()) {
    std::vector<std::byte> shifted(golden.bytes.size() + 1);
    std::copy(golden.bytes.begin(), golden.bytes.end(), shifted.begin() + 1);
    EXPECT_EQ(decoded(golden.type, std::span(shifted).subspan(1), golden.values.size()),
              golden.values);
  }
}

TEST(DecodeRow, PartsOfARow) {
  for (const Golden& golden : read_goldens()) {
    const auto size = std::ssize(golden.values);
    for (std::int64_t first = 0; first < size; first += 7) {
      for (std::int64_t count : {std::int64_t{1}, std::int64_t{5}, std::int64_t{31},
                                 std::int64_t{64}, std::int64_t{300}, size}) {
        count = std::min(count, size - first);
        std::vector<float> part(static_cast<std::size_t>(count));
        decode_part(golden.type, golden.bytes, first, part);
        ASSERT_TRUE(std::equal(part.begin(), part.end(), golden.values.begin() + first))
            << name_of(golden.type) << " " << first << " " << count;
      }
    }
  }
  const auto values = normal_values(9, 1);
  std::vector<float> part(4);
  decode_part(DType::kF32, encoded(DType::kF32, values), 3, part);
  EXPECT_EQ(part, std::vector<float>(values.begin() + 3, values.begin() + 7));
}

TEST(DecodeRow, RefusesRowsOfAnotherSize) {
  std::vector<std::byte> row(34);
  std::vector<float> values(31);
  EXPECT_THROW(decode_row(DType::kQ8_0, row, values), Error);
  values.resize(64);
  EXPECT_THROW(decode_row(DType::kQ8_0, row, values), Error);
}

TEST(EncodeRow, PlainTypesRoundToNearest) {
  const auto values = normal_values(1000, 2);
  EXPECT_EQ(decoded(DType::kF32, encoded(DType::kF32, values), 1000), values);
  const auto half = decoded(DType::kF16, encoded(DType::kF16, values), 1000);
  const auto brain = decoded(DType::kBF16, encoded(DType::kBF16, values), 1000);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(half[i], to_float(to_f16(values[i])));
    EXPECT_EQ(brain[i], round_bf16(values[i]));
  }
}

struct Bound {
  DType type;
  double low, high;  ///< of the relative error on normally distributed values
};

TEST(EncodeRow, ErrorOnNormalValues) {
  // The lower bounds notice a test that measures nothing.
  const Bound bounds[] = {
      {DType::kQ8_0, 0.003, 0.006}, {DType::kQ4_0, 0.06, 0.095},  {DType::kQ5_0, 0.03, 0.048},
      {DType::kQ4_K, 0.05, 0.073},  {DType::kQ6_K, 0.01, 0.0195},
  };
  const auto values = normal_values(256 * 200, 3);
  for (const Bound& bound : bounds) {
    const auto found = decoded(bound.type, encoded(bound.type, values), values.size());
    const double error = relative_error(values, found);
    EXPECT_GT(error, bound.low) << name_of(bound.type);
    EXPECT_LT(error, bound.high) << name_of(bound.type);
  }
}

TEST(EncodeRow, ZerosAndConstantsAndTinyValues) {
  for (const DType type : block_types()) {
    if (!can_encode(type)) continue;
    EXPECT_EQ(decoded(type, encoded(type, std::vector<float>(512, 0.0f)), 512),
              std::vector<float>(512, 0.0f))
        << name_of(type);
    for (const float constant : {1.0f, -1.0f, 1e-3f, -250.0f}) {
      const std::vector<float> values(512, constant);
      EXPECT_LT(relative_error(values, decoded(type, encoded(type, values), 512)), 0.02)
          << name_of(type) << " " << constant;
    }
    for (const float value : decoded(type, encoded(type, std::vector<float>(512, 1e-12f)), 512)) {
      EXPECT_LE(std::fabs(value), 1e-6f) << name_of(type);
    }
  }
}

TEST(EncodeRow, ValuesWithoutMeaningDoNoHarm) {
  for (const DType type : block_types()) {
    if (!can_encode(type)) continue;
    std::vector<float> values = normal_values(512, 4);
    values[3] = std::nanf("");
    values[300] = INFINITY;
    EXPECT_EQ(encoded(type, values).size(), row_bytes(type, 512));
  }
}

TEST(EncodeRow, OnlyTheTypesThatItSays) {
  EXPECT_FALSE(can_encode(DType::kQ3_K));
  std::vector<std::byte> row(110);
  EXPECT_THROW(encode_row(DType::kQ3_K, std::vector<float>(256), row), Error);
}

}  // namespace
}  // namespace fdllm
