#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {
namespace {

std::vector<float> normal(std::size_t count, float deviation) {
  std::mt19937 random(11);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

/// Every table's kernels, by its name.
class WeightKernels : public testing::TestWithParam<std::string> {
 protected:
  QuantizedWeights quantize(int bits, const std::vector<float>& values) {
    q_.assign(values.size(), 99);
    const IntegerKernels& kernels = select_kernels(GetParam()).integer;
    return (bits == 8 ? kernels.int8 : kernels.int4)
        .quantize_weights(values.data(), std::ssize(values), q_.data());
  }
  /// sqrt(sum of squared errors / sum of squares) of scale * q.
  double relative_error(const std::vector<float>& values, const QuantizedWeights& result) const {
    double error = 0;
    double size = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<double>(values[i]);
      error += std::pow(value - static_cast<double>(result.scale) * q_[i], 2);
      size += value * value;
    }
    return std::sqrt(error / size);
  }

  std::vector<std::int8_t> q_;
};

INSTANTIATE_TEST_SUITE_P(Cpu, WeightKernels, testing::ValuesIn(available_isas()),
                         [](const auto& instance) { return instance.param; });

TEST_P(WeightKernels, ErrorOfInt8IsAtMostHalfAStep) {
  for (const float deviation : {1e-20f, 0.02f, 1e20f}) {
    const std::vector<float> values = normal(1001, deviation);
    const float scale = quantize(8, values).scale;
    int largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      largest = std::max(largest, std::abs(int{q_[i]}));
      EXPECT_LE(std::abs(values[i] - scale * static_cast<float>(q_[i])), 0.5001f * scale);
    }
    EXPECT_EQ(largest, 127);
  }
}

TEST_P(WeightKernels, ErrorOfInt4OnNormalWeights) {
  const std::vector<float> values = normal(128, 0.02f);
  // 16 levels over +- 2.7 deviations: a step of about 0.34 deviations, whose error is 0.34 / sqrt
  // 12.
  for (const float factor : {1.0f, -1.0f, 1e20f, 1e-20f}) {
    std::vector<float> scaled = values;
    for (float& value : scaled) value *= factor;
    EXPECT_LT(relative_error(scaled, quantize(4, scaled)), 0.12);
    for (const std::int8_t number : q_) {
      EXPECT_GE(number, -8);
      EXPECT_LE(number, 7);
    }
  }
}

TEST_P(WeightKernels, NumbersOfInt4AreExact) {
  std::vector<float> values;
  for (int i = 0; i < 64; ++i) values.push_back(0.25f * static_cast<float>(i % 16 - 8));
  const QuantizedWeights result = quantize(4, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_FLOAT_EQ(result.scale * static_cast<float>(q_[i]), values[i]);
  }
  EXPECT_LT(result.error, 1e-12 * result.size);
}

TEST_P(WeightKernels, TellsTheErrorThatItMakes) {
  for (const int bits : {8, 4}) {
    for (const float deviation : {1e-20f, 0.02f, 1e20f}) {
      const std::vector<float> values = normal(333, deviation);
      const QuantizedWeights result = quantize(bits, values);
      double size = 0;
      for (const float value : values) size += std::pow(static_cast<double>(value), 2);
      EXPECT_NEAR(result.size / size, 1.0, 1e-5);
      EXPECT_NEAR(std::sqrt(result.error / result.size) / relative_error(values, result), 1.0,
                  1e-3);
    }
  }
}

TEST_P(WeightKernels, BitsAreThoseOfTheScalarTable) {
  for (std::size_t count = 1; count < 300; count = count * 5 / 4 + 1) {
    const std::vector<float> values = normal(count, 0.05f);
    for (const int bits : {8, 4}) {
      const QuantizedWeights found = quantize(bits, values);
      std::vector<std::int8_t> q(count);
      const IntegerKernels& scalar = scalar_kernels().integer;
      const QuantizedWeights expected =
          (bits == 8 ? scalar.int8 : scalar.int4)
              .quantize_weights(values.data(), std::ssize(values), q.data());
      EXPECT_EQ(q_, q) << count;
      EXPECT_EQ(std::memcmp(&found, &expected, sizeof(found.scale)), 0) << count;
      EXPECT_EQ(found.error, expected.error) << count;
    }
  }
}

TEST_P(WeightKernels, ZerosTinyAndNotFiniteValues) {
  for (const int bits : {8, 4}) {
    std::vector<float> values(130, 0.0f);
    EXPECT_EQ(quantize(bits, values).scale, 0.0f);
    EXPECT_EQ(q_, std::vector<std::int8_t>(values.size(), 0));
    values[3] = 1e-38f;
    EXPECT_EQ(quantize(bits, values).scale, 0.0f);
    for (const float bad :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::size_t at : {std::size_t{0}, std::size_t{129}}) {
        std::vector<float> broken = normal(130, 1.0f);
        broken[at] = bad;
        EXPECT_TRUE(std::isnan(quantize(bits, broken).scale));
        EXPECT_EQ(q_, std::vector<std::int8_t>(q_.size(), 0));
      }
    }
  }
}

}  // namespace
}  // namespace fdllm::cpu
