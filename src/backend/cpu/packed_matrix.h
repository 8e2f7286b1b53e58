#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/kernels.h"
#include "base/thread_pool.h"

namespace fdllm::cpu {

/// f32 values in memory.
class HostBuffer final : public Buffer {
 public:
  explicit HostBuffer(std::int64_t elements);
  std::int64_t size() const override { return size_; }
  float* data() const { return memory_.as<float>(); }

 private:
  std::int64_t size_;
  HostMemory memory_;
};

/// Weights in panels of 16 output columns, as kernels.h describes; the last panel is filled up with
/// zeros.
class PackedMatrix final : public Matrix {
 public:
  PackedMatrix(std::span<const StoredMatrix> parts, const GemmKernels& kernels, ThreadPool& pool);

  std::int64_t out_features() const override { return out_; }
  std::int64_t in_features() const override { return in_; }
  std::size_t bytes() const override { return memory_.size() + bias_.size() * sizeof(float); }

  std::int64_t panels() const { return panels_; }
  /// Values of K that are stored: in_features, even for bf16.
  std::int64_t steps() const { return steps_; }
  const std::byte* panel(std::int64_t index) const { return memory_.data() + index * stride_; }
  std::ptrdiff_t panel_stride() const { return stride_; }
  /// Of a panel's first column; nullptr where there is no bias.
  const float* bias(std::int64_t panel) const {
    return bias_.empty() ? nullptr : bias_.data() + panel * kPanelColumns;
  }

  /// Bytes of the panels (a bias takes 4 a column more).
  static std::size_t panel_bytes(std::int64_t rows, std::int64_t columns,
                                 const GemmKernels& kernels);

 private:
  std::int64_t out_ = 0, in_ = 0, steps_ = 0, panels_ = 0;
  std::ptrdiff_t stride_ = 0;
  HostMemory memory_;
  std::vector<float> bias_;
};

/// Token embeddings in their stored type.
class StoredEmbedding final : public EmbeddingTable {
 public:
  explicit StoredEmbedding(const StoredMatrix& table);
  std::int64_t rows() const { return table_.rows; }
  std::int64_t columns() const { return table_.columns; }
  void read(std::int64_t row, float* out) const;

 private:
  StoredMatrix table_;
};

/// Converts `count` stored values from element `first` on to f32.
void read_stored(std::span<const std::byte> data, DType dtype, std::int64_t first,
                 std::int64_t count, float* out);

}  // namespace fdllm::cpu
