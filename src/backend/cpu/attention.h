#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/kernels.h"
#include "base/thread_pool.h"

namespace fdllm::cpu {

/// K and V of a request, laid out as the weights of two matrix products, so that attention runs on
/// the GEMM kernels. For each layer and K/V head: K in panels of 16 rows, as W of Q K^T (K's rows
/// are the output columns, head_dim is the inner dimension); V in panels of 16 of its dims, as W of
/// P V (dims are the output columns, rows are the inner dimension). Filled up with zeros.
class HostKvSlab final : public KvSlab {
 public:
  HostKvSlab(const KvShape& shape, std::size_t element_bytes);
  std::int64_t length() const override { return shape_.length; }
  std::size_t bytes() const override { return memory_.size(); }
  static std::size_t bytes_for(const KvShape& shape, std::size_t element_bytes);

  const KvShape& shape() const { return shape_; }
  /// Rows that are stored: the length in whole panels.
  std::int64_t padded_length() const { return padded_length_; }
  std::byte* k(std::int64_t layer, std::int64_t head) const;
  std::byte* v(std::int64_t layer, std::int64_t head) const;
  /// Bytes from one panel to the next.
  std::ptrdiff_t k_panel_stride() const;
  std::ptrdiff_t v_panel_stride() const;

  /// A position's row of K and of V as f32 [kv_heads * head_dim].
  void read_row(std::int64_t layer, std::int64_t position, float* k, float* v) const;

 private:
  KvShape shape_;
  std::int64_t element_bytes_;
  std::int64_t padded_length_, padded_dim_;
  HostMemory memory_;
};

/// Rotates q in place, and stores rotated k, and v, in the slabs (Backend::rope_store).
void run_rope_store(ThreadPool& pool, const KernelTable& kernels, ComputeType type, float* qkv,
                    const AttentionShape& shape, const float* cos, const float* sin,
                    std::span<const SequenceRows> sequences, std::int64_t layer);

/// Attention over the slabs (Backend::attention), with an online softmax over blocks of keys that
/// lie at fixed places of the slab, so that a row's result depends on nothing but its own inputs.
class Attention {
 public:
  void run(ThreadPool& pool, const KernelTable& kernels, ComputeType type, const float* qkv,
           const AttentionShape& shape, std::span<const SequenceRows> sequences, std::int64_t layer,
           float* out);

 private:
  std::vector<HostMemory> scratch_;  ///< of each thread
};

}  // namespace fdllm::cpu
