// What the attention kernels share: where the rows of a tile lie.
//
// A slab's rows fall into partitions of kPartition keys at fixed places. Scores, their maximum, the
// weights and the weighted sum of V are found for each partition anew and then merged with what the
// partitions before gave, in order: so a row's result depends on nothing but its own operands,
// whatever a block takes on.
#pragma once
#include "backend/cuda/kernels.h"
#include "backend/cuda/portable.h"

namespace fdllm::cuda {

/// A block's tile, its sequence and the K/V head that it works on.
class TilePlace {
 public:
  FDLLM_DEVICE TilePlace(const AttentionTask& task, std::int64_t kv_head)
      : tile(task.tiles[blockIdx.x]),
        sequence(task.sequences[tile.sequence]),
        layout_(task.layout),
        kv_head_(kv_head),
        group_(static_cast<std::int32_t>(layout_.heads / layout_.kv_heads)) {}

  const AttentionTile tile;
  const DeviceSequence sequence;

  FDLLM_DEVICE int pairs() const { return tile.end - tile.begin; }
  FDLLM_DEVICE int partitions() const {
    return (sequence.length + static_cast<int>(kPartition) - 1) / static_cast<int>(kPartition);
  }
  FDLLM_DEVICE std::int64_t row_of(int pair) const {
    return sequence.first_row + (tile.begin + pair) / group_;
  }
  FDLLM_DEVICE std::int64_t head_of(int pair) const {
    return kv_head_ * group_ + (tile.begin + pair) % group_;
  }
  /// Where the pair's query begins in a row of qkv [rows, q heads, k heads, v heads].
  FDLLM_DEVICE std::int64_t query_of(int pair) const {
    return (row_of(pair) * (layout_.heads + 2 * layout_.kv_heads) + head_of(pair)) *
           layout_.head_dim;
  }
  FDLLM_DEVICE std::int64_t output_of(int pair) const {
    return (row_of(pair) * layout_.heads + head_of(pair)) * layout_.head_dim;
  }
  /// K [length, padded_dim] of the head, and V.
  FDLLM_DEVICE const std::byte* k(std::int64_t element_bytes) const {
    return sequence.kv + (layout_.layer * 2 * layout_.kv_heads + kv_head_) * bytes(element_bytes);
  }
  FDLLM_DEVICE const std::byte* v(std::int64_t element_bytes) const {
    return k(element_bytes) + layout_.kv_heads * bytes(element_bytes);
  }

 private:
  FDLLM_DEVICE std::int64_t bytes(std::int64_t element_bytes) const {
    return sequence.length * layout_.padded_dim * element_bytes;
  }

  const AttentionLayout& layout_;
  const std::int64_t kv_head_;
  const std::int32_t group_;
};

}  // namespace fdllm::cuda
