#pragma once
#include <cstdint>

#include "backend/cuda/device_matrix.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// x W^T: activations are made ready once and then multiplied with one or more spans of columns.
class DeviceProduct {
 public:
  explicit DeviceProduct(Runtime& runtime) : runtime_(&runtime) {}

  /// Rounds `rows` rows of x as `weight` wants them; `index` (device memory) names them, nullptr:
  /// the first ones. f32 rows without an index are read where they are.
  void prepare(const DeviceMatrix& weight, const float* x, const std::int32_t* index,
               std::int64_t rows);
  /// out (+)= x W^T + bias for `count` output columns from `first` on; out [rows, stride] begins
  /// with the first of them.
  void multiply(const DeviceMatrix& weight, std::int64_t first, std::int64_t count, float* out,
                std::int64_t stride, bool add);

 private:
  Runtime* runtime_;
  DeviceMemory memory_, scales_, offsets_;
  DeviceMemory partials_, counters_;
  const std::byte* activations_ = nullptr;
  std::int64_t rows_ = 0, stride_ = 0;
};

}  // namespace fdllm::cuda
