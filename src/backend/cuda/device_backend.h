#pragma once
#include <memory>
#include <span>

#include "backend/backend.h"
#include "backend/cuda/launch_queue.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// The back end of the runtime that this program has: a GPU's or the emulation's.
std::unique_ptr<Backend> make_device_backend(const BackendOptions& options);
/// Of a back end that make_device_backend() made.
LaunchCounts launch_counts(const Backend& backend);

/// f32 values in device memory.
class DeviceBuffer final : public Buffer {
 public:
  DeviceBuffer(Runtime& runtime, std::int64_t elements);
  std::int64_t size() const override { return size_; }
  float* data() const { return memory_.as<float>(); }
  /// Of the device that it lies on.
  const Runtime& runtime() const { return *runtime_; }

 private:
  const Runtime* runtime_;
  std::int64_t size_;
  DeviceMemory memory_;
};

/// K and V of a request as DeviceSequence describes them.
class DeviceKvSlab final : public KvSlab {
 public:
  DeviceKvSlab(Runtime& runtime, const KvShape& shape, ComputeType type);
  std::size_t bytes() const override { return memory_.size(); }
  static std::size_t bytes_for(const KvShape& shape, ComputeType type);
  /// Elements of a row: the head's, filled up to 16 bytes.
  static std::int64_t padded_dim(std::int64_t head_dim) { return (head_dim + 7) / 8 * 8; }

  std::byte* data() const { return memory_.data(); }

 private:
  DeviceMemory memory_;
};

}  // namespace fdllm::cuda
