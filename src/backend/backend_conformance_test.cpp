// Every operation on every instruction set and compute type of this machine, against plain formulas
// in double precision, and bit for bit against itself in other batches and thread counts.
#include <limits>
#include <numeric>

#include "fastdllm/error.h"

#include "backend/conformance.h"

namespace fdllm {
namespace {

class OperationConformance : public Conformance {};

INSTANTIATE_TEST_SUITE_P(Cpu, OperationConformance, testing::ValuesIn(float_subjects()),
                         name_of_subject);

/// What holds for integer weights too.
class AnyFormatConformance : public Conformance {};

INSTANTIATE_TEST_SUITE_P(Cpu, AnyFormatConformance, testing::ValuesIn(all_subjects()),
                         name_of_subject);

TEST(Registry, NamesWhatIsKnown) {
  const auto code_of = [](const BackendOptions& options) {
    try {
      make_backend(options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of({.device = "cuda"}), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of({.device = "abacus"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({.isa = "avx1024"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({.threads = -1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({.threads = 1 << 30}), ErrorCode::kInvalidArgument);
  const auto available = cpu::available_isas();
  for (const char* isa : {"avx2", "avx512vnni", "avx512bf16"}) {
    if (std::find(available.begin(), available.end(), isa) == available.end()) {
      EXPECT_EQ(code_of({.isa = isa}), ErrorCode::kUnsupported) << isa;
    }
  }
}

TEST(Registry, AutoIsTheBestOne) {
  const auto backend = make_backend({.threads = 2});
  EXPECT_EQ(backend->description(), "cpu " + cpu::available_isas().front() + ", 2 threads");
}

TEST(Registry, AllocationFailureIsOutOfMemory) {
  const auto backend = make_backend({.threads = 1});
  try {
    backend->allocate(std::int64_t{1} << 58);
    FAIL() << "an exabyte was found";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
}

struct LinearCase {
  std::int64_t rows, in, out;
};

constexpr LinearCase kLinearCases[] = {{1, 1, 1},     {3, 2, 5},     {5, 7, 17},    {13, 33, 16},
                                       {12, 128, 32}, {25, 96, 50},  {7, 1025, 33}, {32, 128, 384},
                                       {1, 2051, 48}, {200, 64, 40}, {193, 31, 15}};

TEST_P(OperationConformance, Linear) {
  const auto backend = subject().make(2);
  for (const auto& [rows, in, out] : kLinearCases) {
    const auto w = normal(out * in);
    const auto bias = normal(out);
    const auto x = normal(rows * in);
    const auto old = normal(rows * out);
    StoredMatrix matrix = stored(w, out, in);
    for (const bool biased : {false, true}) {
      if (biased) matrix.bias = std::as_bytes(std::span(bias));
      const auto packed = backend->pack({&matrix, 1}, MatrixRole::kProjection);
      EXPECT_EQ(packed->out_features(), out);
      EXPECT_EQ(packed->in_features(), in);
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
            const double product =
                subject().seen(x[row * in + k]) * subject().seen(w[column * in + k]);
            expected += product;
            size += std::abs(product);
          }
          // f32 accumulation: rounding stays far below a millionth of the terms' sizes.
          const double before = static_cast<double>(old[row * out + column]);
          ASSERT_NEAR(products[row * out + column], expected, 1e-6 * size);
          ASSERT_NEAR(sums[row * out + column], before + expected,
                      1e-6 * (size + std::abs(before)));
        }
      }
    }
  }
}

TEST_P(AnyFormatConformance, LinearIsTheSameInAnyBatchAndThreadCount) {
  const auto one = subject().make(1);
  const std::int64_t in = subject().is_integer() ? 2300 : 1100;  // more than a block of K
  const std::int64_t out = 84;
  const std::int64_t most = 230;  // more than a block of rows
  const auto w = normal(out * in);
  const auto bias = normal(out);
  StoredMatrix matrix = stored(w, out, in);
  matrix.bias = std::as_bytes(std::span(bias));
  const auto x = normal(most * in);
  std::vector<float> expected;
  {
    const auto packed = one->pack({&matrix, 1}, MatrixRole::kProjection);
    const auto y = one->allocate(out);
    for (std::int64_t row = 0; row < most; ++row) {
      const auto device_x = one->upload(std::span(x).subspan(row * in, in));
      one->linear(*packed, *device_x, 1, *y);
      const std::vector<float> found = values_of(*one, *y);
      expected.insert(expected.end(), found.begin(), found.end());
    }
  }
  for (const int threads : {1, 2, 3}) {
    const auto backend = subject().make(threads);
    const auto packed = backend->pack({&matrix, 1}, MatrixRole::kProjection);
    for (const std::int64_t rows : {1, 2, 3, 5, 6, 7, 11, 12, 13, 24, 25, 32, 100, 192, 193, 230}) {
      const std::int64_t first = integer(0, most - rows);
      const auto device_x = backend->upload(std::span(x).subspan(first * in, rows * in));
      const auto y = backend->allocate(rows * out);
      backend->linear(*packed, *device_x, rows, *y);
      ASSERT_TRUE(
          same_bits(values_of(*backend, *y), std::span(expected).subspan(first * out, rows * out)))
          << rows << " rows, " << threads << " threads";
    }
  }
}

TEST_P(OperationConformance, PackStacksPartsOfEveryStoredType) {
  const auto backend = subject().make(2);
  const std::int64_t in = 37;
  std::vector<float> first = normal(5 * in);
  std::vector<std::uint16_t> second;  // bf16
  std::vector<std::uint16_t> third;   // f16: small multiples of 1/64 by hand
  std::vector<float> all = first;
  for (std::int64_t i = 0; i < 14 * in; ++i) {
    const bf16 value = to_bf16(normal(1)[0]);
    second.push_back(value.bits);
    all.push_back(to_float(value));
  }
  for (std::int64_t i = 0; i < 3 * in; ++i) {
    const f16 value{
        static_cast<std::uint16_t>(integer(0, 1) << 15 | integer(1, 18) << 10 | integer(0, 1023))};
    third.push_back(value.bits);
    all.push_back(to_float(value));
  }
  const std::vector<float> bias = normal(14);
  StoredMatrix parts[3];
  parts[0] = stored(first, 5, in);
  parts[1] = {.data = std::as_bytes(std::span(second)),
              .dtype = DType::kBF16,
              .rows = 14,
              .columns = in,
              .bias = std::as_bytes(std::span(bias))};
  parts[2] = {
      .data = std::as_bytes(std::span(third)), .dtype = DType::kF16, .rows = 3, .columns = in};
  const auto packed = backend->pack(parts, MatrixRole::kProjection);
  ASSERT_EQ(packed->out_features(), 22);
  // Row k of the identity picks column k of W; bf16 rounds W and nothing else.
  std::vector<float> identity(static_cast<std::size_t>(in * in), 0.0f);
  for (std::int64_t k = 0; k < in; ++k) identity[k * in + k] = 1.0f;
  const auto x = backend->upload(identity);
  const auto y = backend->allocate(in * 22);
  backend->linear(*packed, *x, in, *y);
  const std::vector<float> found = values_of(*backend, *y);
  for (std::int64_t k = 0; k < in; ++k) {
    for (std::int64_t column = 0; column < 22; ++column) {
      const bool biased = column >= 5 && column < 19;
      const auto weight = static_cast<float>(subject().seen(all[column * in + k]));
      ASSERT_EQ(found[k * 22 + column], biased ? weight + bias[column - 5] : weight);
    }
  }
}

TEST_P(OperationConformance, EmbedAndGather) {
  const auto backend = subject().make(2);
  const std::int64_t columns = 19;
  const std::vector<float> values = normal(6 * columns);
  std::vector<std::uint16_t> bits;
  for (const float value : values) bits.push_back(to_bf16(value).bits);
  StoredMatrix table;
  table.data = std::as_bytes(std::span(bits));
  table.dtype = DType::kBF16;
  table.rows = 6;
  table.columns = columns;
  const auto embedding = backend->embedding(table);
  const std::vector<std::int32_t> tokens = {5, 0, 3, 3};
  const auto x = backend->allocate(4 * columns);
  backend->embed(*embedding, tokens, *x);
  const std::vector<std::int32_t> rows = {2, 0, 1};
  const auto gathered = backend->allocate(3 * columns);
  backend->gather(*x, rows, columns, *gathered);
  const std::vector<float> embedded = values_of(*backend, *x);
  const std::vector<float> found = values_of(*backend, *gathered);
  for (std::int64_t i = 0; i < columns; ++i) {
    for (std::int64_t t = 0; t < 4; ++t) {
      EXPECT_EQ(embedded[t * columns + i], round_bf16(values[tokens[t] * columns + i]));
    }
    for (std::int64_t t = 0; t < 3; ++t) {
      EXPECT_EQ(found[t * columns + i], embedded[rows[t] * columns + i]);
    }
  }
  const std::vector<std::int32_t> outside = {6};
  EXPECT_THROW(backend->embed(*embedding, outside, *x), Error);
}

TEST_P(OperationConformance, RmsNorm) {
  const auto backend = subject().make(2);
  for (const std::int64_t columns : {1, 8, 15, 16, 31, 128, 1000}) {
    const std::int64_t rows = 5;
    auto values = normal(rows * columns, 3.0f);
    std::fill_n(values.begin(), columns, 0.0f);  // a row of zeros
    const auto weight = normal(columns);
    const auto x = backend->upload(values);
    const auto out = backend->allocate(rows * columns);
    backend->rms_norm(*x, *backend->upload(weight), 1e-5f, rows, *out);
    const std::vector<float> found = values_of(*backend, *out);
    for (std::int64_t row = 0; row < rows; ++row) {
      double squares = 0;
      for (std::int64_t i = 0; i < columns; ++i) {
        squares += std::pow(static_cast<double>(values[row * columns + i]), 2);
      }
      const double factor = 1.0 / std::sqrt(squares / static_cast<double>(columns) + 1e-5);
      for (std::int64_t i = 0; i < columns; ++i) {
        const double expected = static_cast<double>(values[row * columns + i]) * factor *
                                static_cast<double>(weight[i]);
        ASSERT_NEAR(found[row * columns + i], expected, 2e-6 * std::abs(expected));
      }
    }
  }
}

TEST_P(OperationConformance, HeadNorm) {
  const auto backend = subject().make(2);
  const std::int64_t rows = 3;
  for (const std::int64_t head_dim : {2, 8, 24, 34, 128}) {
    const AttentionShape shape{4, 2, head_dim};
    auto values = normal(rows * shape.row(), 3.0f);
    std::fill_n(values.begin(), head_dim, 0.0f);  // a head of zeros
    const std::vector<float> weights[] = {normal(head_dim), normal(head_dim)};
    const auto qkv = backend->upload(values);
    const auto q_weight = backend->upload(weights[0]);
    const auto k_weight = backend->upload(weights[1]);
    backend->head_norm(*qkv, shape, {q_weight.get(), k_weight.get(), 1e-5f}, rows);
    const std::vector<float> found = values_of(*backend, *qkv);
    for (std::int64_t head = 0; head < rows * shape.row() / head_dim; ++head) {
      const std::int64_t of_row = head % (shape.row() / head_dim);
      const float* x = values.data() + head * head_dim;
      double squares = 0;
      for (std::int64_t i = 0; i < head_dim; ++i) squares += double{x[i]} * double{x[i]};
      const double factor = 1.0 / std::sqrt(squares / static_cast<double>(head_dim) + 1e-5);
      for (std::int64_t i = 0; i < head_dim; ++i) {
        double expected = x[i];  // v stays as it is
        if (of_row < 6) expected *= factor * double{weights[of_row < 4 ? 0 : 1][i]};
        ASSERT_NEAR(found[head * head_dim + i], expected, 2e-6 * std::abs(expected));
      }
    }
  }
}

TEST_P(OperationConformance, Swiglu) {
  const auto backend = subject().make(2);
  for (const std::int64_t ffn : {1, 7, 16, 45, 384}) {
    const std::int64_t rows = 4;
    auto values = normal(rows * 2 * ffn, 4.0f);
    values[0] = 200.0f;  // exp overflows in one direction or the other
    if (ffn > 1) values[1] = -200.0f;
    const auto gate_up = backend->upload(values);
    const auto out = backend->allocate(rows * ffn);
    backend->swiglu(*gate_up, rows, ffn, *out);
    const std::vector<float> found = values_of(*backend, *out);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t i = 0; i < ffn; ++i) {
        const double gate = static_cast<double>(values[row * 2 * ffn + i]);
        const double up = static_cast<double>(values[row * 2 * ffn + ffn + i]);
        const double expected = gate / (1.0 + std::exp(-gate)) * up;
        ASSERT_NEAR(found[row * ffn + i], expected, 1e-6 * std::abs(expected) + 1e-30);
      }
    }
  }
}

// A back end may make a result ready for the next product while it is computed; the product must
// see what the buffer holds all the same, also after it was written to again.
TEST_P(AnyFormatConformance, ProductsReadWhatTheirInputHoldsNow) {
  const auto backend = subject().make(2);
  const std::int64_t rows = 5;
  for (const std::int64_t columns : {20, 300, 2500}) {
    const std::int64_t out = 24;
    const auto w = normal(out * columns);
    const StoredMatrix matrix = stored(w, out, columns);
    const auto packed = backend->pack({&matrix, 1}, MatrixRole::kProjection);
    const auto weight = backend->upload(normal(columns));
    const auto gate_up = backend->upload(normal(rows * 2 * columns));
    const auto x = backend->upload(normal(rows * columns));
    const auto y = backend->allocate(rows * out);
    const auto input = backend->allocate(rows * columns);
    const auto check_product = [&](std::int64_t count) {
      const auto copy = backend->upload(values_of(*backend, *input));
      const auto expected = backend->allocate(rows * out);
      backend->linear(*packed, *input, count, *y);
      const std::vector<float> found = values_of(*backend, *y);
      backend->linear(*packed, *copy, count, *expected);
      const std::vector<float> wanted = values_of(*backend, *expected);
      ASSERT_TRUE(
          same_bits(std::span(found).first(count * out), std::span(wanted).first(count * out)));
    };
    backend->rms_norm(*x, *weight, 1e-5f, rows, *input);
    check_product(rows);
    backend->rms_norm(*gate_up, *weight, 1e-5f, rows, *input);
    check_product(rows - 2);
    backend->swiglu(*gate_up, rows, columns, *input);
    check_product(rows);
    backend->swiglu(*gate_up, rows, columns, *input);
    const std::int32_t reversed[] = {4, 3, 2, 1, 0};
    backend->gather(*x, reversed, columns, *input);
    check_product(rows);
    backend->swiglu(*gate_up, rows, columns, *input);
    backend->linear(*packed, *x, rows, *y);
    check_product(rows);
  }
}

TEST_P(AnyFormatConformance, NanPassesThroughRowOperations) {
  const auto backend = subject().make(1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> values = normal(80);
  values[3] = nan;  // in the gate of the only row
  const auto out = backend->allocate(40);
  backend->swiglu(*backend->upload(values), 1, 40, *out);
  EXPECT_TRUE(std::isnan(values_of(*backend, *out)[3]));
  EXPECT_FALSE(std::isnan(values_of(*backend, *out)[4]));
  const auto normed = backend->allocate(80);
  backend->rms_norm(*backend->upload(values), *backend->upload(normal(40)), 1e-5f, 2, *normed);
  EXPECT_TRUE(std::isnan(values_of(*backend, *normed)[0]));
  EXPECT_FALSE(std::isnan(values_of(*backend, *normed)[40]));
  const auto w = normal(800);
  const StoredMatrix matrix = stored(w, 20, 40);
  const auto y = backend->allocate(40);
  backend->linear(*backend->pack({&matrix, 1}, MatrixRole::kProjection), *backend->upload(values),
                  2, *y);
  EXPECT_TRUE(std::isnan(values_of(*backend, *y)[0]));
  EXPECT_FALSE(std::isnan(values_of(*backend, *y)[20]));
}

}  // namespace
}  // namespace fdllm
