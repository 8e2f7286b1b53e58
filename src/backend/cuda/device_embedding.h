#pragma once
#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cuda/runtime.h"
#include "base/thread_pool.h"

namespace fdllm::cuda {

/// Token embeddings on the device in their stored type, of which a kernel gathers rows. They stay
/// on the host, which then decodes and sends the rows of a forward, where they are stored in blocks
/// (GGUF's quantised types), or would take more than an eighth of the memory that is free: K/V
/// needs it more.
class DeviceEmbedding final : public EmbeddingTable {
 public:
  DeviceEmbedding(Runtime& runtime, const StoredMatrix& table);

  std::int64_t rows() const { return stored_.rows(); }
  std::int64_t columns() const { return stored_.columns(); }
  bool is_on_device() const { return memory_.data() != nullptr; }
  /// x[t] = table[tokens[t]]; tokens are inside the table.
  void embed(Runtime& runtime, ThreadPool& pool, std::span<const std::int32_t> tokens,
             float* x) const;

 private:
  cpu::StoredEmbedding stored_;
  DType dtype_;
  DeviceMemory memory_;
  mutable PinnedMemory host_rows_;  ///< on their way
};

}  // namespace fdllm::cuda
