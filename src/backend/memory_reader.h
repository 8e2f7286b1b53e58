#pragma once
#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "base/check.h"

namespace fdllm {

/// A back end whose memory can be read back: for checks and measurements.
class MemoryReader {
 public:
  virtual ~MemoryReader() = default;

  /// Copies the first values of a buffer to the host, after all that was asked for before.
  virtual void download(const Buffer& buffer, std::span<float> values) const = 0;
  /// Copies the K (after RoPE) and V rows of a layer to the host: k, v [positions, kv_heads *
  /// head_dim]. Rows that were never stored are unspecified.
  virtual void read_kv(const KvSlab& kv, std::int64_t layer,
                       std::span<const std::int32_t> positions, std::span<float> k,
                       std::span<float> v) const = 0;

  /// Throws kUnsupported where `backend` is none.
  static const MemoryReader& of(const Backend& backend) {
    if (const auto* const found = dynamic_cast<const MemoryReader*>(&backend)) return *found;
    fail(ErrorCode::kUnsupported, "device: the memory of {} cannot be read", backend.description());
  }
};

}  // namespace fdllm
