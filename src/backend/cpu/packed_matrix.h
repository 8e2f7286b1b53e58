#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/panel_packer.h"
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
/// zeros. A panel of an integer format ends with its scales [segments][16].
class PackedMatrix final : public Matrix {
 public:
  PackedMatrix(std::span<const StoredMatrix> parts, const GemmKernels& kernels, ThreadPool& pool);

  std::int64_t out_features() const override { return out_; }
  std::int64_t in_features() const override { return in_; }
  std::size_t bytes() const override { return memory_.size() + bias_.size() * sizeof(float); }
  std::span<const WeightConversion> conversions() const override { return conversions_; }

  const GemmKernels& kernels() const { return *kernels_; }
  std::int64_t panels() const { return panels_; }
  const std::byte* panel(std::int64_t index) const { return memory_.data() + index * stride_; }
  std::ptrdiff_t panel_stride() const { return stride_; }
  /// Of a panel's first column from the K-th value on; integer formats only.
  const float* scales(std::int64_t panel, std::int64_t k) const {
    return reinterpret_cast<const float*>(this->panel(panel) + scales_at_) +
           k / kernels_->segment * kPanelColumns;
  }
  /// Of a panel's first column; nullptr where there is no bias.
  const float* bias(std::int64_t panel) const {
    return bias_.empty() ? nullptr : bias_.data() + panel * kPanelColumns;
  }

  /// Bytes of all panels (a bias takes 4 a column more).
  static std::size_t panel_bytes(std::int64_t rows, std::int64_t columns,
                                 const GemmKernels& kernels);

 private:
  const GemmKernels* kernels_;
  std::int64_t out_ = 0, in_ = 0, panels_ = 0;
  std::ptrdiff_t stride_ = 0, scales_at_ = 0;
  HostMemory memory_;
  std::vector<float> bias_;
  std::vector<WeightConversion> conversions_;
};

/// Throws kInternal unless the parts can be stacked; returns how many rows they have together.
std::int64_t check_parts(std::span<const StoredMatrix> parts);
/// The parts' biases one after another in whole panels, zeros where a part has none; empty where no
/// part has one.
std::vector<float> stacked_bias(std::span<const StoredMatrix> parts);
/// What the packers changed together.
std::vector<WeightConversion> conversions_of(std::span<const PanelPacker> packers);

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
