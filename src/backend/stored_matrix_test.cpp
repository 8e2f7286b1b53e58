#include "backend/conformance.h"
#include "backend/tensor_parallel/parallel_weights.h"
#include "quant/row.h"

// pack() on every stored type and row order: the same bits as from plain rows in their usual order.
namespace fdllm {
namespace {

class StoredMatrices : public Conformance {
 protected:
  /// Types whose integers and scales are kept.
  bool runs_as_stored(DType type) const {
    return (type == DType::kQ8_0 && subject().format == WeightFormat::kInt8Group32) ||
           (type == DType::kQ4_0 && subject().format == WeightFormat::kInt4Group32);
  }
  /// y of one packed matrix.
  std::vector<float> product(const StoredMatrix& matrix, const std::vector<float>& x) const {
    const auto backend = subject().make(2);
    const auto packed = backend->pack(std::span(&matrix, 1), MatrixRole::kProjection);
    const auto rows = static_cast<std::int64_t>(x.size()) / matrix.columns;
    const auto in = backend->upload(x);
    const auto out = backend->allocate(rows * matrix.rows);
    backend->linear(*packed, *in, rows, *out);
    return values_of(*backend, *out);
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
    if (runs_as_stored(type)) continue;  // not the bits that its values would be rounded to
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

/// Reads what packed integer weights stand for.
class Dequantizer {
 public:
  Dequantizer(const Matrix& packed, int devices) : packed_(packed) {
    split_ = dynamic_cast<const tensor_parallel::ParallelMatrix*>(&packed);
    if (split_ != nullptr) {
      for (int device = 0; device < devices; ++device) shares_.emplace_back(*split_->on(device), 1);
      return;
    }
#if defined(FDLLM_TEST_DEVICE)
    device_ = dynamic_cast<const cuda::DeviceMatrix*>(&packed);
    if (device_ == nullptr) return;
    const std::int64_t segments = device_->layout().segments(packed.in_features());
    rows_.resize(static_cast<std::size_t>(packed.out_features() * device_->stride()));
    scales_.resize(static_cast<std::size_t>(packed.out_features() * segments));
    cuda::Runtime runtime;
    runtime.copy_to_host(rows_.data(), device_->weights(), rows_.size());
    runtime.copy_to_host(scales_.data(), device_->scales(), scales_.size() * sizeof(float));
    runtime.synchronize();
#endif
  }

  float value(std::int64_t column, std::int64_t k) const {
    if (split_ != nullptr) {
      for (const tensor_parallel::ColumnPiece& piece : split_->layout().pieces()) {
        if (column >= piece.whole.end) continue;
        return shares_[piece.device].value(piece.local.begin + column - piece.whole.begin, k);
      }
    }
#if defined(FDLLM_TEST_DEVICE)
    if (device_ != nullptr) return device_value(column, k);
#endif
    const auto& matrix = static_cast<const cpu::PackedMatrix&>(packed_);
    const cpu::GemmKernels& kernels = matrix.kernels();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(matrix.panel(column / 16));
    int number = 0;
    if (kernels.weight_bits == 8) {
      const std::uint8_t byte = bytes[k / 4 * 64 + column % 16 * 4 + k % 4];
      number = kernels.weight_offset == 0 ? static_cast<std::int8_t>(byte) : byte - 128;
    } else {
      const std::uint8_t byte = bytes[k / 8 * 64 + column % 16 * 4 + k % 4];
      number = (k % 8 < 4 ? byte & 15 : byte >> 4) - 8;
    }
    return matrix.scales(column / 16, k)[column % 16] * static_cast<float>(number);
  }

 private:
  const Matrix& packed_;
  const tensor_parallel::ParallelMatrix* split_ = nullptr;
  std::vector<Dequantizer> shares_;
#if defined(FDLLM_TEST_DEVICE)
  float device_value(std::int64_t column, std::int64_t k) const {
    const std::uint8_t* const row = rows_.data() + column * device_->stride();
    const cpu::GemmKernels& format = *device_->layout().packing;
    const int value = format.weight_bits == 8 ? static_cast<std::int8_t>(row[k])
                      : k % 8 < 4             ? (row[k / 8 * 4 + k % 4] & 15) - 8
                                              : (row[k / 8 * 4 + k % 4] >> 4) - 8;
    const std::int64_t segments = device_->layout().segments(device_->in_features());
    return scales_[column * segments + k / format.segment] * static_cast<float>(value);
  }

  const cuda::DeviceMatrix* device_ = nullptr;
  std::vector<std::uint8_t> rows_;
  std::vector<float> scales_;
#endif
};

// Q8_0 and Q4_0 in the format of their groups, here with any integers and scales, -128 and
// subnormal ones included.
TEST_P(StoredMatrices, GroupsOfTheFormatRunAsTheyAre) {
  constexpr std::int64_t kRows = 40, kColumns = 2144;
  int tested = 0;
  for (const DType type : {DType::kQ8_0, DType::kQ4_0}) {
    if (!runs_as_stored(type)) continue;
    ++tested;
    std::vector<std::byte> stored(kRows * row_bytes(type, kColumns));
    for (std::byte& byte : stored) byte = static_cast<std::byte>(integer(0, 255));
    for (std::size_t at = 0; at < stored.size(); at += block_bytes(type)) {
      const auto scale = static_cast<std::uint16_t>(integer(0, 0x3bff) | (integer(0, 1) << 15));
      std::memcpy(&stored[at], &scale, sizeof(scale));
    }
    std::vector<float> values(kRows * kColumns);
    decode_row(type, stored, values);
    StoredMatrix matrix;
    matrix.data = stored;
    matrix.dtype = type;
    matrix.rows = kRows;
    matrix.columns = kColumns;
    for (const std::int64_t heads : {0, 4}) {
      matrix.interleaved_heads = heads;
      const auto backend = subject().make(2);
      const auto packed = backend->pack(std::span(&matrix, 1), MatrixRole::kProjection);
      ASSERT_EQ(packed->conversions().size(), 1u);
      EXPECT_EQ(packed->conversions()[0].stored, type);
      EXPECT_EQ(packed->conversions()[0].weights, kRows * kColumns);
      EXPECT_EQ(packed->conversions()[0].squared_error, 0);
      const Dequantizer weights(*packed, subject().devices);
      std::vector<float> found, expected;
      for (std::int64_t column = 0; column < kRows; ++column) {
        const std::int64_t dim = column % 10;
        const std::int64_t row = heads == 0 ? column : column - dim + 2 * (dim % 5) + dim / 5;
        for (std::int64_t k = 0; k < kColumns; ++k) {
          found.push_back(weights.value(column, k));
          expected.push_back(values[row * kColumns + k]);
        }
      }
      EXPECT_TRUE(same_bits(found, expected)) << name_of(type) << " heads " << heads;
    }
    // A scale that is not finite reaches every output that it takes part in.
    const std::uint16_t infinity = 0x7c00;
    std::memcpy(&stored[0], &infinity, sizeof(infinity));
    matrix.interleaved_heads = 0;
    const std::vector<float> y = product(matrix, normal(kColumns));
    EXPECT_TRUE(std::isnan(y[0]));
    EXPECT_TRUE(std::isfinite(y[1]));
  }
  const bool has_such_a_type = subject().format == WeightFormat::kInt8Group32 ||
                               subject().format == WeightFormat::kInt4Group32;
  EXPECT_EQ(tested, has_such_a_type ? 1 : 0);
}

TEST_P(StoredMatrices, TellsWhatPackingChanged) {
  constexpr std::int64_t kRows = 20, kColumns = 512;
  const std::vector<float> weights = normal(kRows * kColumns, 0.05f);
  std::vector<std::byte> half(kRows * row_bytes(DType::kBF16, kColumns));
  encode_row(DType::kBF16, weights, half);
  StoredMatrix parts[2] = {plain(weights, kColumns), plain(weights, kColumns)};
  parts[1].data = half;
  parts[1].dtype = DType::kBF16;
  const auto backend = subject().make(2);
  const auto packed = backend->pack(parts, MatrixRole::kProjection);
  const std::span<const WeightConversion> conversions = packed->conversions();
  ASSERT_EQ(conversions.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(conversions[i].stored, parts[i].dtype);
    EXPECT_EQ(conversions[i].weights, kRows * kColumns);
    const Dequantizer packed_weights(*packed, subject().devices);
    double error = 0, size = 0;
    for (std::int64_t column = 0; column < kRows; ++column) {
      for (std::int64_t k = 0; k < kColumns; ++k) {
        const float original = weights[column * kColumns + k];
        const float value = i == 0 ? original : round_bf16(original);
        float kept = value;
        if (subject().is_bf16()) kept = round_bf16(value);
        if (subject().is_integer()) kept = packed_weights.value(i * kRows + column, k);
        error += std::pow(static_cast<double>(value) - static_cast<double>(kept), 2);
        size += std::pow(static_cast<double>(value), 2);
      }
    }
    if (error == 0) {
      EXPECT_EQ(conversions[i].squared_error, 0);
    } else {
      EXPECT_NEAR(conversions[i].squared_error / error, 1.0, 1e-3);
      EXPECT_NEAR(conversions[i].squared_size / size, 1.0, 1e-3);
    }
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
    const std::vector<float> found = values_of(*backend, *x);
    const std::span<const float> all(values);
    EXPECT_TRUE(same_bits(std::span(found).first(kColumns), all.subspan(4 * kColumns, kColumns)))
        << name_of(type);
    EXPECT_TRUE(same_bits(std::span(found).last(kColumns), all.subspan(kColumns, kColumns)))
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
