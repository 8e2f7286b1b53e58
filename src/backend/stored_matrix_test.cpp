#include "backend/conformance.h"
#include "quant/row.h"

// pack() on every stored type and row order: the same bits as from plain rows in their usual order.
namespace fdllm {
namespace {

class StoredMatrices : public Conformance {
 protected:
  /// y of one packed matrix.
  std::vector<float> product(const StoredMatrix& matrix, const std::vector<float>& x) const {
    const auto backend = subject().make(2);
    const auto packed = backend->pack(std::span(&matrix, 1), MatrixRole::kProjection);
    const auto rows = static_cast<std::int64_t>(x.size()) / matrix.columns;
    const auto in = backend->upload(x);
    const auto out = backend->allocate(rows * matrix.rows);
    backend->linear(*packed, *in, rows, *out);
    const float* values = static_cast<const cpu::HostBuffer&>(*out).data();
    return {values, values + rows * matrix.rows};
  }
};

StoredMatrix plain(const std::vector<float>& weight, std::int64_t columns,
                   const std::vector<float>& bias = {}) {
  StoredMatrix matrix;
  matrix.data = std::as_bytes(std::span(weight));
  matrix.rows = std::ssize(weight) / columns;
  matrix.columns = columns;
  matrix.bias = std::as_bytes(std::span(bias));
  return matrix;
}

TEST_P(StoredMatrices, EveryTypeGivesTheBitsOfItsValues) {
  constexpr std::int64_t kRows = 37, kColumns = 512;
  const std::vector<float> x = normal(3 * kColumns);
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto type = static_cast<DType>(i);
    std::vector<std::byte> stored(kRows * row_bytes(type, kColumns));
    if (can_encode(type)) {
      encode_row(type, normal(kRows * kColumns, 0.05f), stored);
    } else {
      // Any bytes are blocks; small ones keep the scales finite.
      for (std::byte& byte : stored) byte = static_cast<std::byte>(integer(0, 0x3b));
    }
    std::vector<float> values(kRows * kColumns);
    decode_row(type, stored, values);
    StoredMatrix matrix = plain(values, kColumns);
    const std::vector<float> expected = product(matrix, x);
    matrix.data = stored;
    matrix.dtype = type;
    EXPECT_EQ(product(matrix, x), expected) << name_of(type);
  }
}

TEST_P(StoredMatrices, EmbeddingsOfEveryType) {
  constexpr std::int64_t kRows = 5, kColumns = 256;
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto type = static_cast<DType>(i);
    if (!can_encode(type)) continue;
    std::vector<std::byte> stored(kRows * row_bytes(type, kColumns));
    encode_row(type, normal(kRows * kColumns), stored);
    std::vector<float> values(kRows * kColumns);
    decode_row(type, stored, values);
    const auto backend = subject().make(1);
    const auto table =
        backend->embedding({.data = stored, .dtype = type, .rows = kRows, .columns = kColumns});
    const auto x = backend->allocate(2 * kColumns);
    backend->embed(*table, std::vector<std::int32_t>{4, 1}, *x);
    const float* found = static_cast<const cpu::HostBuffer&>(*x).data();
    EXPECT_TRUE(std::equal(found, found + kColumns, values.begin() + 4 * kColumns))
        << name_of(type);
    EXPECT_TRUE(std::equal(found + kColumns, found + 2 * kColumns, values.begin() + kColumns))
        << name_of(type);
  }
}

TEST_P(StoredMatrices, InterleavedHeadsArePutBack) {
  constexpr std::int64_t kHeads = 3, kHeadDim = 8, kColumns = 32;
  constexpr std::int64_t kRows = kHeads * kHeadDim;
  const std::vector<float> weight = normal(kRows * kColumns);
  const std::vector<float> bias = normal(kRows);
  std::vector<float> stored_weight(weight.size()), stored_bias(bias.size());
  for (std::int64_t head = 0; head < kHeads; ++head) {
    for (std::int64_t i = 0; i < kHeadDim / 2; ++i) {
      for (std::int64_t part = 0; part < 2; ++part) {
        const std::int64_t from = head * kHeadDim + part * kHeadDim / 2 + i;
        const std::int64_t to = head * kHeadDim + 2 * i + part;
        std::copy_n(weight.begin() + from * kColumns, kColumns,
                    stored_weight.begin() + to * kColumns);
        stored_bias[to] = bias[from];
      }
    }
  }
  const std::vector<float> x = normal(2 * kColumns);
  StoredMatrix matrix = plain(stored_weight, kColumns, stored_bias);
  const std::vector<float> expected = product(plain(weight, kColumns, bias), x);
  EXPECT_NE(product(matrix, x), expected);
  matrix.interleaved_heads = kHeads;
  EXPECT_EQ(product(matrix, x), expected);
}

INSTANTIATE_TEST_SUITE_P(All, StoredMatrices, testing::ValuesIn(all_subjects()), name_of_subject);

}  // namespace
}  // namespace fdllm
