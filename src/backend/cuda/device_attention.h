#pragma once
#include <cstdint>

#include "backend/backend.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// Backend::rope_store and Backend::attention: the lists that their kernels read.
class DeviceAttention {
 public:
  DeviceAttention(Runtime& runtime, ComputeType type)
      : runtime_(&runtime), is_bf16_(type == ComputeType::kBF16) {}

  void rope_store(float* qkv, const float* cos, const float* sin, const LayerRows& of);
  void attention(const float* qkv, const LayerRows& of, float* out);

 private:
  AttentionLayout layout(const LayerRows& of) const;
  std::int64_t tile_pairs(const LayerRows& of) const;

  Runtime* runtime_;
  bool is_bf16_;
  DeviceMemory partials_, counters_;
};

}  // namespace fdllm::cuda
