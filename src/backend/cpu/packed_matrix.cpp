#include "backend/cpu/packed_matrix.h"

#include <algorithm>

#include "backend/cpu/quantize.h"
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

/// K as it is stored.
std::int64_t steps_of(std::int64_t columns, const GemmKernels& kernels) {
  const std::int64_t multiple = kernels.step_multiple;
  return (columns + multiple - 1) / multiple * multiple;
}

std::int64_t weights_of_panel(std::int64_t columns, const GemmKernels& kernels) {
  return steps_of(columns, kernels) * kPanelColumns * kernels.weight_bits / 8;
}

std::int64_t scales_of_panel(std::int64_t columns, const GemmKernels& kernels) {
  if (kernels.segment == 0) return 0;
  const std::int64_t segments = (columns + kernels.segment - 1) / kernels.segment;
  return segments * kPanelColumns * std::int64_t{sizeof(float)};
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
  const std::int64_t panels = (rows + kPanelColumns - 1) / kPanelColumns;
  return static_cast<std::size_t>(
      panels * (weights_of_panel(columns, kernels) + scales_of_panel(columns, kernels)));
}

PackedMatrix::PackedMatrix(std::span<const StoredMatrix> parts, const GemmKernels& kernels,
                           ThreadPool& pool)
    : kernels_(&kernels) {
  check(!parts.empty(), "a matrix of no parts");
  in_ = parts[0].columns;
  for (const StoredMatrix& part : parts) {
    check_part(part, in_);
    out_ += part.rows;
  }
  panels_ = (out_ + kPanelColumns - 1) / kPanelColumns;
  memory_ = HostMemory(panel_bytes(out_, in_, kernels), "packed weights");
  stride_ = static_cast<std::ptrdiff_t>(memory_.size()) / panels_;
  scales_at_ = weights_of_panel(in_, kernels);
  read_bias(parts);

  const bool quantized = kernels.segment > 0;
  std::vector<float> values(quantized ? static_cast<std::size_t>(pool.size() * in_) : 0);
  std::vector<std::int8_t> integers(values.size());
  pool.run(pool.size(), panels_, [&](std::int64_t panel, int thread) noexcept {
    std::byte* target = memory_.data() + panel * stride_;
    for (int column = 0; column < kPanelColumns; ++column) {
      const StackedRow source = find_row(parts, panel * kPanelColumns + column);
      if (source.part == nullptr) break;
      if (quantized) {
        pack_integers(*source.part, source.row, target, column,
                      std::span(values).subspan(static_cast<std::size_t>(thread * in_),
                                                static_cast<std::size_t>(in_)),
                      integers.data() + thread * in_);
      } else {
        pack_floats(*source.part, source.row, target, column);
      }
    }
  });
}

void PackedMatrix::read_bias(std::span<const StoredMatrix> parts) {
  const bool biased = std::any_of(parts.begin(), parts.end(),
                                  [](const StoredMatrix& part) { return !part.bias.empty(); });
  if (!biased) return;
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

void PackedMatrix::pack_floats(const StoredMatrix& part, std::int64_t row, std::byte* panel,
                               int column) const {
  float values[kPackSteps];
  for (std::int64_t k = 0; k < in_; k += kPackSteps) {
    const std::int64_t count = std::min(kPackSteps, in_ - k);
    read_stored(part.data, part.dtype, row * in_ + k, count, values);
    if (kernels_->weight_bits == 16) {
      auto* out = reinterpret_cast<bf16*>(panel) + k * kPanelColumns + std::int64_t{2} * column;
      for (std::int64_t i = 0; i < count; ++i) {
        out[i / 2 * 2 * kPanelColumns + i % 2] = to_bf16(values[i]);
      }
    } else {
      float* out = reinterpret_cast<float*>(panel) + k * kPanelColumns + column;
      for (std::int64_t i = 0; i < count; ++i) out[i * kPanelColumns] = values[i];
    }
  }
}

void PackedMatrix::pack_integers(const StoredMatrix& part, std::int64_t row, std::byte* panel,
                                 int column, std::span<float> values,
                                 std::int8_t* quantized) const {
  read_stored(part.data, part.dtype, row * in_, in_, values.data());
  auto* scales = reinterpret_cast<float*>(panel + scales_at_) + column;
  const bool is_int8 = kernels_->weight_bits == 8;
  float shared = kernels_->shared_scale ? quantize_weights_int8(values, quantized) : 0.0f;
  for (std::int64_t k = 0, segment = 0; k < in_; k += kernels_->segment, ++segment) {
    if (!kernels_->shared_scale) {
      const std::int64_t count = std::min(kernels_->segment, in_ - k);
      const std::span<float> group =
          values.subspan(static_cast<std::size_t>(k), static_cast<std::size_t>(count));
      shared = is_int8 ? quantize_weights_int8(group, quantized + k)
                       : quantize_weights_int4(group, quantized + k);
    }
    scales[segment * kPanelColumns] = shared;
  }
  const std::int64_t together = is_int8 ? 4 : 8;  // values of K that share a vector
  auto* out = reinterpret_cast<std::uint8_t*>(panel) + std::ptrdiff_t{4} * column;
  for (std::int64_t k = 0; k < in_; ++k) {
    const auto stored = static_cast<unsigned>(quantized[k] + kernels_->weight_offset) & 255u;
    std::uint8_t& byte = out[k / together * 4 * kPanelColumns + k % 4];
    byte = static_cast<std::uint8_t>(k % together < 4 ? stored : byte | stored << 4);
  }
}

StoredEmbedding::StoredEmbedding(const StoredMatrix& table) : table_(table) {
  check_part(table, table.columns);
}

void StoredEmbedding::read(std::int64_t row, float* out) const {
  read_stored(table_.data, table_.dtype, row * table_.columns, table_.columns, out);
}

}  // namespace fdllm::cpu
