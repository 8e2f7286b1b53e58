#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/runtime.h"
#include "base/thread_pool.h"

namespace fdllm::cuda {

/// How a weight format is laid out and multiplied; the numbers are those of the scalar CPU kernels,
/// so that the integers, scales and sums are the CPU's.
struct FormatLayout {
  explicit FormatLayout(WeightFormat format);

  const cpu::GemmKernels* packing;
  OperandKind kind;

  bool is_integer() const { return packing->segment > 0; }
  std::int64_t segments(std::int64_t columns) const {
    return is_integer() ? (columns + packing->segment - 1) / packing->segment : 0;
  }
  /// Bytes of a row of `columns` weights or activations, a multiple of 16.
  std::int64_t weight_stride(std::int64_t columns) const;
  std::int64_t activation_stride(std::int64_t columns) const;
  /// ProductTask::part_bytes of a matrix [out, in]: the same whatever it is multiplied with.
  std::int64_t part_bytes(std::int64_t out, std::int64_t in) const;
};

/// Weights by rows of output columns, K contiguous, in device memory.
class DeviceMatrix final : public Matrix {
 public:
  /// Packs on the host's threads and sends batches of rows through pinned memory.
  DeviceMatrix(Runtime& runtime, ThreadPool& pool, std::span<const StoredMatrix> parts,
               WeightFormat format);

  std::int64_t out_features() const override { return out_; }
  std::int64_t in_features() const override { return in_; }
  std::size_t bytes() const override { return weights_.size() + scales_.size() + bias_.size(); }
  std::span<const WeightConversion> conversions() const override { return conversions_; }
  static std::size_t bytes_for(std::int64_t rows, std::int64_t columns, WeightFormat format);

  const FormatLayout& layout() const { return layout_; }
  /// ProductTask::part_bytes, of the whole matrix where devices share it.
  std::int64_t part_bytes() const { return part_bytes_; }
  std::int64_t stride() const { return stride_; }
  const std::byte* weights() const { return weights_.data(); }
  const float* scales() const { return scales_.as<float>(); }
  const float* bias() const { return bias_.as<float>(); }

 private:
  FormatLayout layout_;
  std::int64_t out_, in_, part_bytes_, stride_;
  DeviceMemory weights_, scales_, bias_;
  std::vector<WeightConversion> conversions_;
};

}  // namespace fdllm::cuda
