#pragma once
#include <cstdint>
#include <span>

#include "backend/cuda/device_matrix.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// Columns [first, first + count) of a product.
struct OutputColumns {
  std::int64_t first, count;
};

/// x W^T: activations are made ready once and then multiplied with one or more spans of columns.
class DeviceProduct {
 public:
  explicit DeviceProduct(Runtime& runtime) : runtime_(&runtime) {}

  /// Where an operation shall put its `rows` rows of `columns` values, which also go to `x`, ready
  /// for matrices of this layout. prepare() for the same rows has nothing left to do then.
  OperandTask produce(const FormatLayout& layout, const float* x, std::int64_t rows,
                      std::int64_t columns);
  /// x is written to: what was made ready from it is no longer what it holds.
  void forget(const float* x) {
    if (source_ == x) source_ = nullptr;
  }

  /// Rounds the first `rows` rows of x as `weight` wants them. f32 rows are read where they are.
  void prepare(const DeviceMatrix& weight, const float* x, std::int64_t rows);
  /// The same for the rows of x that `index` names.
  void prepare(const DeviceMatrix& weight, const float* x, std::span<const std::int32_t> index);
  /// out (+)= x W^T + bias for some output columns; out [rows, stride] begins with the first of
  /// them.
  void multiply(const DeviceMatrix& weight, OutputColumns columns, float* out, std::int64_t stride,
                bool add);

 private:
  OperandTask reserve(const FormatLayout& layout, std::int64_t rows, std::int64_t columns);

  Runtime* runtime_;
  DeviceMemory memory_, scales_, offsets_;
  DeviceMemory partials_, counters_;
  const std::byte* activations_ = nullptr;
  std::int64_t rows_ = 0, stride_ = 0;
  /// Where the first rows_ rows of columns_ values that produce() made ready for packing_ are too;
  /// nullptr: nowhere.
  const float* source_ = nullptr;
  std::int64_t columns_ = 0;
  const cpu::GemmKernels* packing_ = nullptr;
};

}  // namespace fdllm::cuda
