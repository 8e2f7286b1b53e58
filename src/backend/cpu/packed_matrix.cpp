#include "backend/cpu/packed_matrix.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"

namespace fdllm::cpu {
namespace {

/// Values of K that are converted at a time while packing.
constexpr std::int64_t kPackSteps = 256;

template <typename T>
void read_values(const std::byte* data, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    T value;  // the file may have placed it at an odd address
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    out[i] = to_float(value);
  }
}

/// The stored row that becomes output column `column` of the stacked matrix.
struct StackedRow {
  const StoredMatrix* part;
  std::int64_t row;
};

StackedRow find_row(std::span<const StoredMatrix> parts, std::int64_t column) {
  for (const StoredMatrix& part : parts) {
    if (column < part.rows) return {&part, column};
    column -= part.rows;
  }
  return {nullptr, 0};
}

void check_part(const StoredMatrix& part, std::int64_t columns) {
  check(part.columns == columns && part.rows > 0 && columns > 0, "parts of unequal columns");
  const std::int64_t elements = checked_mul(part.rows, part.columns, "weight matrix");
  check(part.data.size() == static_cast<std::size_t>(elements) * size_of(part.dtype),
        "size of a weight matrix");
  check(part.bias.empty() ||
            part.bias.size() == static_cast<std::size_t>(part.rows) * size_of(part.bias_dtype),
        "size of a bias");
}

}  // namespace

void read_stored(std::span<const std::byte> data, DType dtype, std::int64_t first,
                 std::int64_t count, float* out) {
  const std::byte* values = data.data() + static_cast<std::size_t>(first) * size_of(dtype);
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, values, static_cast<std::size_t>(count) * sizeof(float));
      break;
    case DType::kF16:
      read_values<f16>(values, count, out);
      break;
    case DType::kBF16:
      read_values<bf16>(values, count, out);
      break;
  }
}

HostBuffer::HostBuffer(std::int64_t elements) : size_(elements) {
  check(elements >= 0, "size of a buffer");
  memory_ = HostMemory(static_cast<std::size_t>(elements) * sizeof(float), "activation buffer");
}

std::size_t PackedMatrix::panel_bytes(std::int64_t rows, std::int64_t columns,
                                      const GemmKernels& kernels) {
  const auto panels = static_cast<std::size_t>((rows + kPanelColumns - 1) / kPanelColumns);
  const auto steps =
      static_cast<std::size_t>(kernels.weight_bytes == 2 ? columns + columns % 2 : columns);
  return panels * kPanelColumns * steps * kernels.weight_bytes;
}

PackedMatrix::PackedMatrix(std::span<const StoredMatrix> parts, const GemmKernels& kernels,
                           ThreadPool& pool) {
  check(!parts.empty(), "a matrix of no parts");
  in_ = parts[0].columns;
  bool biased = false;
  for (const StoredMatrix& part : parts) {
    check_part(part, in_);
    out_ += part.rows;
    biased = biased || !part.bias.empty();
  }
  panels_ = (out_ + kPanelColumns - 1) / kPanelColumns;
  steps_ = kernels.weight_bytes == 2 ? in_ + in_ % 2 : in_;
  memory_ = HostMemory(panel_bytes(out_, in_, kernels), "packed weights");
  stride_ = static_cast<std::ptrdiff_t>(memory_.size()) / panels_;

  if (biased) {
    bias_.assign(static_cast<std::size_t>(panels_) * kPanelColumns, 0.0f);
    std::int64_t column = 0;
    for (const StoredMatrix& part : parts) {
      if (!part.bias.empty()) {
        read_stored(part.bias, part.bias_dtype, 0, part.rows, bias_.data() + column);
      }
      column += part.rows;
    }
  }

  std::atomic<std::int64_t> next{0};
  const bool paired = kernels.weight_bytes == 2;
  pool.run(static_cast<int>(std::min<std::int64_t>(pool.size(), panels_)), [&](int) noexcept {
    float values[kPackSteps];
    for (std::int64_t panel = next++; panel < panels_; panel = next++) {
      std::byte* target = memory_.data() + panel * stride_;
      for (int column = 0; column < kPanelColumns; ++column) {
        const StackedRow source = find_row(parts, panel * kPanelColumns + column);
        if (source.part == nullptr) break;
        for (std::int64_t k = 0; k < in_; k += kPackSteps) {
          const std::int64_t count = std::min(kPackSteps, in_ - k);
          read_stored(source.part->data, source.part->dtype, source.row * in_ + k, count, values);
          if (paired) {
            auto* out = reinterpret_cast<bf16*>(target) + k * kPanelColumns + 2 * column;
            for (std::int64_t i = 0; i < count; ++i) {
              out[i / 2 * 2 * kPanelColumns + i % 2] = to_bf16(values[i]);
            }
          } else {
            float* out = reinterpret_cast<float*>(target) + k * kPanelColumns + column;
            for (std::int64_t i = 0; i < count; ++i) out[i * kPanelColumns] = values[i];
          }
        }
      }
    }
  });
}

StoredEmbedding::StoredEmbedding(const StoredMatrix& table) : table_(table) {
  check_part(table, table.columns);
}

void StoredEmbedding::read(std::int64_t row, float* out) const {
  read_stored(table_.data, table_.dtype, row * table_.columns, table_.columns, out);
}

}  // namespace fdllm::cpu
