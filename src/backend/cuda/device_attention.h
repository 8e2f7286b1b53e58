#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// Backend::rope_store and Backend::attention: the lists that their kernels read, checked.
class DeviceAttention {
 public:
  DeviceAttention(Runtime& runtime, ComputeType type)
      : runtime_(&runtime), is_bf16_(type == ComputeType::kBF16) {}

  void rope_store(float* qkv, const AttentionShape& shape, const float* cos, const float* sin,
                  std::span<const SequenceRows> sequences, std::int64_t layer);
  void attention(const float* qkv, const AttentionShape& shape,
                 std::span<const SequenceRows> sequences, std::int64_t layer, float* out);

 private:
  AttentionLayout layout(const AttentionShape& shape, std::int64_t layer) const;
  std::int64_t tile_pairs(const AttentionShape& shape,
                          std::span<const SequenceRows> sequences) const;

  Runtime* runtime_;
  bool is_bf16_;
  DeviceMemory partials_, counters_;
};

}  // namespace fdllm::cuda
