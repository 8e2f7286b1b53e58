#include "backend/cpu/quantize.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace fdllm::cpu {
namespace {

std::vector<float> normal(std::size_t count, float deviation) {
  std::mt19937 random(11);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

/// sqrt(sum of squared errors / sum of squares) of scale * q.
double relative_error(const std::vector<float>& values, float scale,
                      const std::vector<std::int8_t>& q) {
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<double>(values[i]);
    error += std::pow(value - static_cast<double>(scale) * q[i], 2);
    size += value * value;
  }
  return std::sqrt(error / size);
}

TEST(QuantizeInt8, ErrorIsAtMostHalfAStep) {
  for (const float deviation : {1e-20f, 0.02f, 1e20f}) {
    const std::vector<float> values = normal(1001, deviation);
    std::vector<std::int8_t> q(values.size());
    const float scale = quantize_weights_int8(values, q.data());
    int largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      largest = std::max(largest, std::abs(int{q[i]}));
      EXPECT_LE(std::abs(values[i] - scale * static_cast<float>(q[i])), 0.5001f * scale);
    }
    EXPECT_EQ(largest, 127);
  }
}

TEST(QuantizeInt4, ErrorOfNormalWeights) {
  std::vector<float> values = normal(128, 0.02f);
  std::vector<std::int8_t> q(values.size());
  // 16 levels over +- 2.7 deviations: a step of about 0.34 deviations, whose error is 0.34 / sqrt
  // 12.
  EXPECT_LT(relative_error(values, quantize_weights_int4(values, q.data()), q), 0.12);
  for (const std::int8_t number : q) {
    EXPECT_GE(number, -8);
    EXPECT_LE(number, 7);
  }
  for (const float factor : {-1.0f, 1e20f, 1e-20f}) {
    std::vector<float> scaled = values;
    for (float& value : scaled) value *= factor;
    EXPECT_LT(relative_error(scaled, quantize_weights_int4(scaled, q.data()), q), 0.12);
  }
}

TEST(QuantizeInt4, NumbersOfTheFormatAreExact) {
  std::vector<float> values;
  for (int i = 0; i < 64; ++i) values.push_back(0.25f * static_cast<float>(i % 16 - 8));
  std::vector<std::int8_t> q(values.size());
  const float scale = quantize_weights_int4(values, q.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_FLOAT_EQ(scale * static_cast<float>(q[i]), values[i]);
  }
}

TEST(Quantize, ZerosTinyAndNotFiniteValues) {
  using Quantizer = float (*)(std::span<const float>, std::int8_t*);
  const Quantizer quantizers[] = {quantize_weights_int8, quantize_weights_int4};
  for (const Quantizer quantize : quantizers) {
    std::vector<float> values(130, 0.0f);
    std::vector<std::int8_t> q(values.size(), 99);
    EXPECT_EQ(quantize(values, q.data()), 0.0f);
    EXPECT_EQ(q, std::vector<std::int8_t>(values.size(), 0));
    values[3] = 1e-38f;
    EXPECT_EQ(quantize(values, q.data()), 0.0f);
    for (const float bad :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::size_t at : {std::size_t{0}, std::size_t{129}}) {
        std::vector<float> broken = normal(130, 1.0f);
        broken[at] = bad;
        q.assign(q.size(), 99);
        EXPECT_TRUE(std::isnan(quantize(broken, q.data())));
        EXPECT_EQ(q, std::vector<std::int8_t>(q.size(), 0));
      }
    }
  }
}

}  // namespace
}  // namespace fdllm::cpu
