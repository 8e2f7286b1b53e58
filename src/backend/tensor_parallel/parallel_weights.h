#pragma once
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/tensor_parallel/column_layout.h"
#include "backend/tensor_parallel/device_group.h"

namespace fdllm::tensor_parallel {

/// A matrix whose output columns are split over the devices, or one that each has whole.
class ParallelMatrix final : public Matrix {
 public:
  /// The head is whole, so that the rows to be scored can be dealt out. Every other matrix is
  /// split, each of its parts by itself.
  ParallelMatrix(const DeviceGroup& group, std::span<const StoredMatrix> parts, MatrixRole role);

  std::int64_t out_features() const override { return out_; }
  std::int64_t in_features() const override { return in_; }
  /// On all devices.
  std::size_t bytes() const override;
  std::span<const WeightConversion> conversions() const override { return conversions_; }

  bool is_split() const { return is_split_; }
  const ColumnLayout& layout() const { return layout_; }
  /// nullptr where a device has no columns.
  const Matrix* on(int device) const { return matrices_[device].get(); }

 private:
  std::int64_t out_ = 0, in_ = 0;
  bool is_split_;
  ColumnLayout layout_;
  std::vector<std::unique_ptr<Matrix>> matrices_;
  std::vector<WeightConversion> conversions_;
};

/// Embeddings that each device has whole.
class ParallelEmbedding final : public EmbeddingTable {
 public:
  ParallelEmbedding(const DeviceGroup& group, const StoredMatrix& table);
  const EmbeddingTable& on(int device) const { return *tables_[device]; }

 private:
  std::vector<std::unique_ptr<EmbeddingTable>> tables_;
};

}  // namespace fdllm::tensor_parallel
