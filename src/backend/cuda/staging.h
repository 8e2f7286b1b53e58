#pragma once
#include <cstddef>
#include <span>

#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// Pinned memory that small lists go up through. It is used from one end to the other, and waited
/// for where it begins anew, so that nothing is overwritten before it was copied.
class Staging {
 public:
  explicit Staging(Runtime& runtime) : runtime_(&runtime) {}

  /// `bytes` of pinned memory that stay the caller's until the next reserve() or upload() at least.
  std::byte* reserve(std::size_t bytes);
  /// Copies to device memory at `to`.
  void upload(void* to, std::span<const std::byte> from);

 private:
  Runtime* runtime_;
  PinnedMemory memory_;
  std::size_t used_ = 0;
};

}  // namespace fdllm::cuda
