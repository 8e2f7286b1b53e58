#include "backend/tensor_parallel/parallel_weights.h"

#include <algorithm>

#include "base/check.h"
#include "base/dtype.h"

namespace fdllm::tensor_parallel {
namespace {

ColumnPart column_part(const StoredMatrix& part) {
  const std::int64_t heads = part.interleaved_heads;
  check(part.rows > 0 && (heads == 0 || part.rows % heads == 0), "rows of interleaved heads");
  return {part.rows, heads == 0 ? 1 : part.rows / heads};
}

/// Some rows of a part.
StoredMatrix rows_of(const StoredMatrix& part, const ColumnRange& rows) {
  const std::size_t row = row_bytes(part.dtype, part.columns);
  check(part.data.size() == row * static_cast<std::size_t>(part.rows), "size of a stored matrix");
  StoredMatrix share = part;
  share.rows = rows.size();
  share.data = part.data.subspan(row * static_cast<std::size_t>(rows.begin),
                                 row * static_cast<std::size_t>(rows.size()));
  if (!part.bias.empty()) {
    check(part.bias.size() == row_bytes(part.bias_dtype, part.rows), "size of a stored bias");
    share.bias = part.bias.subspan(row_bytes(part.bias_dtype, rows.begin),
                                   row_bytes(part.bias_dtype, rows.size()));
  }
  share.interleaved_heads = part.interleaved_heads * rows.size() / part.rows;
  return share;
}

void add(const WeightConversion& conversion, std::vector<WeightConversion>& sums) {
  const auto found = std::ranges::find(sums, conversion.stored, &WeightConversion::stored);
  if (found == sums.end()) {
    sums.push_back(conversion);
    return;
  }
  found->weights += conversion.weights;
  found->squared_error += conversion.squared_error;
  found->squared_size += conversion.squared_size;
}

}  // namespace

ParallelMatrix::ParallelMatrix(const DeviceGroup& group, std::span<const StoredMatrix> parts,
                               MatrixRole role)
    : is_split_(role != MatrixRole::kHead) {
  check(!parts.empty(), "a matrix without parts");
  in_ = parts[0].columns;
  std::vector<ColumnPart> columns;
  for (const StoredMatrix& part : parts) {
    out_ += part.rows;
    columns.push_back(column_part(part));
  }
  for (int device = 0; device < group.size(); ++device) {
    if (!is_split_) {
      matrices_.push_back(group[device].pack(parts, role));
      continue;
    }
    std::vector<StoredMatrix> shares;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const ColumnRange rows = ColumnLayout::share(columns[i], device, group.size());
      if (rows.size() == 0) continue;
      shares.push_back(rows_of(parts[i], rows));
      shares.back().rows_on_all_devices = out_;
    }
    matrices_.push_back(shares.empty() ? nullptr : group[device].pack(shares, role));
  }
  if (is_split_) layout_ = ColumnLayout(columns, group.size());
  for (const auto& matrix : matrices_) {
    if (matrix == nullptr) continue;
    for (const WeightConversion& conversion : matrix->conversions()) add(conversion, conversions_);
    if (!is_split_) break;  // the others' are the same weights
  }
}

std::size_t ParallelMatrix::bytes() const {
  std::size_t bytes = 0;
  for (const auto& matrix : matrices_) bytes += matrix == nullptr ? 0 : matrix->bytes();
  return bytes;
}

ParallelEmbedding::ParallelEmbedding(const DeviceGroup& group, const StoredMatrix& table) {
  for (int device = 0; device < group.size(); ++device) {
    tables_.push_back(group[device].embedding(table));
  }
}

}  // namespace fdllm::tensor_parallel
