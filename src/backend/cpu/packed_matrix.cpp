#include "backend/cpu/packed_matrix.h"

#include <algorithm>

#include "backend/cpu/panel_packer.h"
#include "base/check.h"
#include "base/round_up.h"
#include "quant/row.h"

namespace fdllm::cpu {
namespace {

/// K as it is stored.
std::int64_t steps_of(std::int64_t columns, const GemmKernels& kernels) {
  return round_up<std::int64_t>(columns, kernels.step_multiple);
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
  out_ = check_parts(parts);
  in_ = parts[0].columns;
  panels_ = (out_ + kPanelColumns - 1) / kPanelColumns;
  memory_ = HostMemory(panel_bytes(out_, in_, kernels), "packed weights");
  stride_ = static_cast<std::ptrdiff_t>(memory_.size()) / panels_;
  scales_at_ = weights_of_panel(in_, kernels);
  bias_ = stacked_bias(parts);

  std::vector<PanelPacker> packers(static_cast<std::size_t>(pool.size()),
                                   PanelPacker(kernels, in_));
  pool.run(pool.size(), panels_, [&](std::int64_t panel, int thread) noexcept {
    std::byte* target = memory_.data() + panel * stride_;
    packers[thread].pack(parts, panel * kPanelColumns, target,
                         reinterpret_cast<float*>(target + scales_at_));
  });
  conversions_ = conversions_of(packers);
}

std::int64_t check_parts(std::span<const StoredMatrix> parts) {
  check(!parts.empty(), "a matrix of no parts");
  std::int64_t rows = 0;
  for (const StoredMatrix& part : parts) {
    check_part(part, parts[0].columns);
    rows += part.rows;
  }
  return rows;
}

std::vector<WeightConversion> conversions_of(std::span<const PanelPacker> packers) {
  std::vector<WeightConversion> conversions;
  for (std::size_t type = 0; type < kDTypes.size(); ++type) {
    WeightConversion sum{.stored = static_cast<DType>(type)};
    for (const PanelPacker& packer : packers) {
      sum.weights += packer.errors()[type].weights;
      sum.squared_error += packer.errors()[type].error;
      sum.squared_size += packer.errors()[type].size;
    }
    if (sum.weights > 0) conversions.push_back(sum);
  }
  return conversions;
}

std::vector<float> stacked_bias(std::span<const StoredMatrix> parts) {
  const bool biased = std::any_of(parts.begin(), parts.end(),
                                  [](const StoredMatrix& part) { return !part.bias.empty(); });
  if (!biased) return {};
  std::int64_t rows = 0;
  for (const StoredMatrix& part : parts) rows += part.rows;
  const std::int64_t panels = (rows + kPanelColumns - 1) / kPanelColumns;
  std::vector<float> bias(static_cast<std::size_t>(panels * kPanelColumns), 0.0f);
  std::int64_t column = 0;
  for (const StoredMatrix& part : parts) {
    if (!part.bias.empty()) {
      std::vector<float> values(static_cast<std::size_t>(part.rows));
      read_stored(part.bias, part.bias_dtype, 0, part.rows, values.data());
      for (std::int64_t row = 0; row < part.rows; ++row) {
        bias[column + row] = values[stored_row(part, row)];
      }
    }
    column += part.rows;
  }
  return bias;
}

StoredEmbedding::StoredEmbedding(const StoredMatrix& table) : table_(table) {
  check_part(table, table.columns);
}

void StoredEmbedding::read(std::int64_t row, float* out) const {
  read_stored(table_.data, table_.dtype, row * table_.columns, table_.columns, out);
}

}  // namespace fdllm::cpu
