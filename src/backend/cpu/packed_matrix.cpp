#include "backend/cpu/packed_matrix.h"

#include <algorithm>

#include "base/check.h"
#include "quant/row.h"

namespace fdllm::cpu {
namespace {

/// Values of K that are converted at a time while packing.
constexpr std::int64_t kPackSteps = 256;

/// The stored row that becomes output column `column` of the stacked matrix.
struct StackedRow {
  const StoredMatrix* part;
  std::int64_t row;
};

/// Where a part keeps row `row` of the matrix that it stands for.
std::int64_t stored_row(const StoredMatrix& part, std::int64_t row) {
  if (part.interleaved_heads == 0) return row;
  const std::int64_t head_dim = part.rows / part.interleaved_heads;
  const std::int64_t half = head_dim / 2;
  const std::int64_t dim = row % head_dim;
  return row - dim + 2 * (dim % half) + dim / half;
}

StackedRow find_row(std::span<const StoredMatrix> parts, std::int64_t column) {
  for (const StoredMatrix& part : parts) {
    if (column < part.rows) return {&part, stored_row(part, column)};
    column -= part.rows;
  }
  return {nullptr, 0};
}

void check_part(const StoredMatrix& part, std::int64_t columns) {
  check(part.columns == columns && part.rows > 0 && columns > 0, "parts of unequal columns");
  checked_mul(part.rows, part.columns, "weight matrix");
  check(part.columns % static_cast<std::int64_t>(block_elements(part.dtype)) == 0 &&
            part.data.size() ==
                static_cast<std::size_t>(part.rows) * row_bytes(part.dtype, part.columns),
        "size of a weight matrix");
  check(part.interleaved_heads == 0 || part.rows % (2 * part.interleaved_heads) == 0,
        "heads of a weight matrix");
  check(part.bias.empty() || part.bias.size() == row_bytes(part.bias_dtype, part.rows),
        "size of a bias");
}

}  // namespace

void read_stored(std::span<const std::byte> data, DType dtype, std::int64_t first,
                 std::int64_t count, float* out) {
  decode_part(dtype, data, first, std::span(out, static_cast<std::size_t>(count)));
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
        std::vector<float> values(static_cast<std::size_t>(part.rows));
        read_stored(part.bias, part.bias_dtype, 0, part.rows, values.data());
        for (std::int64_t row = 0; row < part.rows; ++row) {
          bias_[column + row] = values[stored_row(part, row)];
        }
      }
      column += part.rows;
    }
  }

  const bool paired = kernels.weight_bytes == 2;
  pool.run(pool.size(), panels_, [&](std::int64_t panel, int) noexcept {
    float values[kPackSteps];
    std::byte* target = memory_.data() + panel * stride_;
    for (int column = 0; column < kPanelColumns; ++column) {
      const StackedRow source = find_row(parts, panel * kPanelColumns + column);
      if (source.part == nullptr) break;
      for (std::int64_t k = 0; k < in_; k += kPackSteps) {
        const std::int64_t count = std::min(kPackSteps, in_ - k);
        read_stored(source.part->data, source.part->dtype, source.row * in_ + k, count, values);
        if (paired) {
          auto* out =
              reinterpret_cast<bf16*>(target) + k * kPanelColumns + std::int64_t{2} * column;
          for (std::int64_t i = 0; i < count; ++i) {
            out[i / 2 * 2 * kPanelColumns + i % 2] = to_bf16(values[i]);
          }
        } else {
          float* out = reinterpret_cast<float*>(target) + k * kPanelColumns + column;
          for (std::int64_t i = 0; i < count; ++i) out[i * kPanelColumns] = values[i];
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
