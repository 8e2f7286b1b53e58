#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "backend/cpu/host_memory.h"

namespace fdllm::cpu {

/// The longest heads: rows of them are converted in arrays on the stack.
inline constexpr std::int64_t kMaxHeadDim = 1024;

/// K and V of a request, laid out as the weights of two matrix products, so that attention runs on
/// the GEMM kernels. For each layer and K/V head: K in panels of 16 rows, as W of Q K^T (K's rows
/// are the output columns, head_dim is the inner dimension); V in panels of 16 of its dims, as W of
/// P V (dims are the output columns, rows are the inner dimension). Filled up with zeros.
class HostKvSlab final : public KvSlab {
 public:
  HostKvSlab(const KvShape& shape, std::size_t element_bytes);
  std::size_t bytes() const override { return memory_.size(); }
  static std::size_t bytes_for(const KvShape& shape, std::size_t element_bytes);

  /// Rows that are stored: the length in whole panels.
  std::int64_t padded_length() const { return padded_length_; }
  std::byte* k(std::int64_t layer, std::int64_t head) const;
  std::byte* v(std::int64_t layer, std::int64_t head) const;
  /// Bytes from one panel to the next.
  std::ptrdiff_t k_panel_stride() const;
  std::ptrdiff_t v_panel_stride() const;

  /// Of a slab of f32: stores a head's row of K and of V.
  void store(std::int64_t layer, std::int64_t head, std::int64_t position, const float* k,
             const float* v) const;
  /// The same of one of bf16, from its bits.
  void store(std::int64_t layer, std::int64_t head, std::int64_t position, const std::uint16_t* k,
             const std::uint16_t* v) const;
  /// A position's row of K and of V as f32 [kv_heads * head_dim].
  void read_row(std::int64_t layer, std::int64_t position, float* k, float* v) const;

 private:
  std::int64_t element_bytes_;
  std::int64_t padded_length_, padded_dim_;
  HostMemory memory_;
};

}  // namespace fdllm::cpu
