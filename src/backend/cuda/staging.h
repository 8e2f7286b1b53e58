#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

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

/// A list in device memory, sent only when it differs from the last one: the layers of a forward
/// ask for the same lists.
class DeviceList {
 public:
  template <typename T>
  const T* update(Runtime& runtime, Staging& staging, std::span<const T> values) {
    return static_cast<const T*>(update_bytes(runtime, staging, std::as_bytes(values)));
  }

 private:
  const void* update_bytes(Runtime& runtime, Staging& staging, std::span<const std::byte> bytes);

  std::vector<std::byte> sent_;
  DeviceMemory memory_;
};

}  // namespace fdllm::cuda
