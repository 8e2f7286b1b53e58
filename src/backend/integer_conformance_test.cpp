// Linear operations with integer weights: every instruction set against a plain formula over the
// quantised numbers, bit for bit against the scalar kernels, and the error of quantisation itself.
#include "backend/conformance.h"
#include "backend/cpu/kernels.h"

namespace fdllm {
namespace {

class IntegerConformance : public Conformance {
 protected:
  bool is_int8() const { return bits_of(subject().format) == 8; }
  /// Neighbours along K that share a scale.
  std::int64_t group_of(std::int64_t columns) const {
    switch (subject().format) {
      case WeightFormat::kInt8:
        return columns;
      case WeightFormat::kInt8Group32:
      case WeightFormat::kInt4Group32:
        return 32;
      default:
        return 128;
    }
  }

  /// `values` as the format rounds them: groups of K with a scale each.
  std::vector<double> dequantized(const std::vector<float>& values, std::int64_t columns,
                                  bool weights) const {
    const std::int64_t group = group_of(columns);
    std::vector<double> result(values.size());
    std::vector<std::int8_t> q(static_cast<std::size_t>(columns));
    const std::int64_t rows = std::ssize(values) / columns;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t k = 0; k < columns; k += group) {
        const std::int64_t first = row * columns + k;
        const auto count = static_cast<std::size_t>(std::min(group, columns - k));
        const std::span<const float> part(values.data() + first, count);
        double scale = 0;
        if (weights) {
          const cpu::IntegerKernels& scalar = cpu::scalar_kernels().integer;
          scale = static_cast<double>((is_int8() ? scalar.int8 : scalar.int4)
                                          .quantize_weights(part.data(), std::ssize(part), q.data())
                                          .scale);
        } else {
          float largest = 0;
          for (const float value : part) largest = std::max(largest, std::abs(value));
          scale = static_cast<double>(largest / 127.0f);
          for (std::size_t i = 0; i < count; ++i) {
            q[i] = static_cast<std::int8_t>(
                largest > 0 ? std::nearbyint(part[i] * (127.0f / largest)) : 0.0f);
          }
        }
        for (std::size_t i = 0; i < count; ++i) {
          result[static_cast<std::size_t>(first) + i] = scale * q[i];
        }
      }
    }
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(Cpu, IntegerConformance, testing::ValuesIn(integer_subjects()),
                         name_of_subject);

struct LinearCase {
  std::int64_t rows, in, out;
};

// K below, at and past vectors, groups of 32 and 128 and blocks of 2048; rows and columns likewise.
constexpr LinearCase kCases[] = {{1, 1, 1},      {3, 2, 5},     {5, 7, 17},    {17, 33, 16},
                                 {9, 64, 31},    {12, 128, 32}, {25, 136, 50}, {7, 1025, 33},
                                 {32, 127, 384}, {1, 2051, 48}, {33, 260, 40}, {16, 4100, 15}};

TEST_P(IntegerConformance, LinearMultipliesTheQuantisedNumbers) {
  const auto backend = subject().make(2);
  for (const auto& [rows, in, out] : kCases) {
    const auto w = normal(out * in, 0.05f);
    const auto bias = normal(out);
    const auto x = normal(rows * in);
    const auto old = normal(rows * out);
    const std::vector<double> seen_w = dequantized(w, in, true);
    const std::vector<double> seen_x = dequantized(x, in, false);
    StoredMatrix matrix = stored(w, out, in);
    for (const bool biased : {false, true}) {
      if (biased) matrix.bias = std::as_bytes(std::span(bias));
      const auto packed = backend->pack({&matrix, 1}, MatrixRole::kProjection);
      EXPECT_EQ(packed->bytes(), backend->packed_bytes(out, in, MatrixRole::kProjection) +
                                     (biased ? subject().bias_bytes(out) : 0));
      const auto device_x = backend->upload(x);
      const auto y = backend->allocate(rows * out);
      const auto sum = backend->upload(old);
      backend->linear(*packed, *device_x, rows, *y);
      backend->linear_add(*packed, *device_x, rows, *sum);
      const std::vector<float> products = values_of(*backend, *y);
      const std::vector<float> sums = values_of(*backend, *sum);
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t column = 0; column < out; ++column) {
          double expected = biased ? static_cast<double>(bias[column]) : 0.0;
          double size = std::abs(expected) + 1e-3;
          for (std::int64_t k = 0; k < in; ++k) {
            const double product = seen_x[row * in + k] * seen_w[column * in + k];
            expected += product;
            size += std::abs(product);
          }
          // Integer sums are exact; only scales and the sums of segments are rounded, to f32.
          const double before = static_cast<double>(old[row * out + column]);
          ASSERT_NEAR(products[row * out + column], expected, 1e-6 * size);
          ASSERT_NEAR(sums[row * out + column], before + expected,
                      1e-6 * (size + std::abs(before)));
        }
      }
    }
  }
}

TEST_P(IntegerConformance, BitsAreThoseOfTheScalarKernels) {
  const auto backend = subject().make(2);
  const auto scalar = Subject{"scalar", subject().format}.make(1);
  for (const auto& [rows, in, out] : kCases) {
    const auto w = normal(out * in, 0.05f);
    const auto bias = normal(out);
    auto x = normal(rows * in);
    x[0] = 1e4f;                                                // an outlier
    if (rows > 2) std::fill_n(x.begin() + in, in, 0.0f);        // a row of zeros
    if (rows > 3) std::fill_n(x.begin() + 2 * in, in, 1e-37f);  // a row that counts as zeros
    StoredMatrix matrix = stored(w, out, in);
    matrix.bias = std::as_bytes(std::span(bias));
    const auto device_x = backend->upload(x);
    const auto found = backend->upload(normal(rows * out));
    const auto expected = scalar->upload(values_of(*backend, *found));
    backend->linear_add(*backend->pack({&matrix, 1}, MatrixRole::kProjection), *device_x, rows,
                        *found);
    scalar->linear_add(*scalar->pack({&matrix, 1}, MatrixRole::kProjection), *scalar->upload(x),
                       rows, *expected);
    ASSERT_TRUE(same_bits(values_of(*backend, *found), values_of(*scalar, *expected)))
        << rows << " x " << in << " x " << out;
  }
}

// Largest weights and activations everywhere: what saturates or overflows first.
TEST_P(IntegerConformance, ExtremesDoNotSaturate) {
  const auto backend = subject().make(1);
  const std::int64_t in = 5000;
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> w(static_cast<std::size_t>(in), sign);
    const std::vector<float> x(static_cast<std::size_t>(in), 3.0f);
    const StoredMatrix matrix = stored(w, 1, in);
    const auto y = backend->allocate(1);
    backend->linear(*backend->pack({&matrix, 1}, MatrixRole::kProjection), *backend->upload(x), 1,
                    *y);
    EXPECT_NEAR(values_of(*backend, *y)[0], sign * 15000.0f, 0.01f);
  }
}

TEST_P(IntegerConformance, ErrorOfQuantisation) {
  const auto backend = subject().make(2);
  const std::int64_t rows = 8, in = 4096, out = 64;
  const auto w = normal(out * in, 0.02f);
  const auto x = normal(rows * in);
  const StoredMatrix matrix = stored(w, out, in);
  const auto y = backend->allocate(rows * out);
  backend->linear(*backend->pack({&matrix, 1}, MatrixRole::kProjection), *backend->upload(x), rows,
                  *y);
  const std::vector<float> found = values_of(*backend, *y);
  double error = 0;
  double size = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < out; ++column) {
      double exact = 0;
      for (std::int64_t k = 0; k < in; ++k) {
        exact += static_cast<double>(x[row * in + k]) * static_cast<double>(w[column * in + k]);
      }
      error += std::pow(static_cast<double>(found[row * out + column]) - exact, 2);
      size += exact * exact;
    }
  }
  // int8: steps of 3.9 deviations / 127 in both factors, error step / sqrt(12) each: 1.3 %.
  // Groups of 32 have a largest value of about 2.1 deviations: 0.7 %.
  // int4: about 10 % of the weights' size, see quantize_test.cpp; groups of 32 about 8 %.
  const double relative = std::sqrt(error / size);
  const bool narrow = group_of(in) == 32;
  EXPECT_LT(relative, is_int8() ? (narrow ? 0.008 : 0.016) : (narrow ? 0.095 : 0.12));
  EXPECT_GT(relative, is_int8() ? 0.004 : 0.04);
}

TEST_P(IntegerConformance, TheHeadTakesAtLeastEightBits) {
  const auto backend = subject().make(1);
  EXPECT_EQ(backend->weight_format(MatrixRole::kHead),
            is_int8() ? subject().format : WeightFormat::kInt8);
  EXPECT_EQ(backend->weight_format(MatrixRole::kProjection), subject().format);
  // 16 columns of each device: K bytes or half bytes each, and the scales of the groups. The head
  // is whole on each.
  const std::size_t scales = static_cast<std::size_t>(256 / group_of(256)) * 64;
  const auto devices = static_cast<std::size_t>(subject().devices);
  EXPECT_EQ(backend->packed_bytes(16 * subject().devices, 256, MatrixRole::kProjection),
            devices * (16u * (is_int8() ? 256 : 128) + scales));
  EXPECT_EQ(backend->packed_bytes(16, 256, MatrixRole::kHead),
            devices * (16u * 256 + (is_int8() ? scales : 64)));
}

}  // namespace
}  // namespace fdllm
