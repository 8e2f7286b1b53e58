#pragma once
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace fdllm::tensor_parallel {

/// K and V of a request: each device has its K/V heads' for all positions.
class ParallelKvSlab final : public KvSlab {
 public:
  ParallelKvSlab(const KvShape& shape, std::vector<std::unique_ptr<KvSlab>> slabs)
      : KvSlab(shape), slabs_(std::move(slabs)) {}

  std::size_t bytes() const override {
    std::size_t bytes = 0;
    for (const auto& slab : slabs_) bytes += slab->bytes();
    return bytes;
  }

  KvSlab* on(int device) const { return slabs_[device].get(); }

 private:
  std::vector<std::unique_ptr<KvSlab>> slabs_;
};

/// The sequences of a batch as a device sees them: the same rows, its own K/V.
inline std::vector<SequenceRows> sequences_on(int device, std::span<const SequenceRows> sequences) {
  std::vector<SequenceRows> own(sequences.begin(), sequences.end());
  for (SequenceRows& sequence : own) {
    if (sequence.kv != nullptr) {
      sequence.kv = static_cast<const ParallelKvSlab*>(sequence.kv)->on(device);
    }
  }
  return own;
}

}  // namespace fdllm::tensor_parallel
