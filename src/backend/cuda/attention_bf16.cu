// Attention over bf16 K/V on the matrix units.
//
// The warps of a block (attention_tiles.cuh) share tiles of K and V, which stream through shared
// memory in turn. Within a partition of the keys the softmax is online, tile by tile. With few rows
// each partition is a block's own, and the last block that finishes merges them.
#include <cmath>

#include "backend/cuda/attention_tiles.cuh"
#include "backend/cuda/launch.h"

namespace fdllm::cuda {
namespace {

template <typename Shape>
FDLLM_DEVICE void write_output(const AttentionTask& task, const TilePlace& place, int first_pair,
                               const float (&sums)[2], const float (&values)[Shape::kSums][4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    float sum = sums[half];
    for (int bits = 1; bits <= 2; bits *= 2) sum += shuffle_xor(sum, bits);
    const int pair = first_pair + 8 * half + lane / 4;
    if (pair >= place.pairs()) continue;
    float* const out = task.out + place.output_of(pair);
    const float factor = 1.0f / sum;
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kSums; ++n) {
      const int dim = 8 * n + 2 * (lane % 4);
      if (dim < task.layout.head_dim) {
        store_pair(out + dim, {values[n][2 * half] * factor, values[n][2 * half + 1] * factor});
      }
    }
  }
}

template <typename Shape>
FDLLM_KERNEL(Shape::kThreads)
attend_bf16(AttentionTask task) {
  FDLLM_SHARED_MEMORY(memory);
  const std::int64_t kv_head = blockIdx.y;
  const TilePlace place(task, kv_head);
  if (place.pairs() == 0) return;
  const int partitions = place.partitions();
  const bool is_split = task.partials != nullptr;
  if (is_split && static_cast<int>(blockIdx.z) >= partitions) return;
  const int first = is_split ? static_cast<int>(blockIdx.z) * Shape::kTilesOfPartition : 0;
  const int last =
      is_split ? first + Shape::kTilesOfPartition : partitions * Shape::kTilesOfPartition;
  const std::uint32_t* const attended = task.attended + place.sequence.attended_begin;
  const auto next = [&](int tile) { return next_attended<Shape>(attended, tile, last); };
  const std::byte* const k = place.k(2);
  const std::byte* const v = place.v(2);

  // Tiles of K and V take turns; `ahead` is the next one to be copied.
  KeyTile ahead = next(first);
  int copied = 0;
  const auto copy_next = [&] {
    if (ahead.number < last) {
      copy_tile<Shape>(copied % 2 == 0 ? k : v, 2 * task.layout.padded_dim, ahead,
                       memory + copied % Shape::kStages * Shape::kTileBytes);
      if (copied % 2 == 1) ahead = next(ahead.number + 1);
    }
    ++copied;
    commit_copies();
  };
  for (int i = 0; i < Shape::kStages - 1; ++i) copy_next();

  const int first_pair = static_cast<int>(threadIdx.x) / kWarp * 16;
  const bool has_pairs = first_pair < place.pairs();  // else the warp only copies
  std::byte* const behind_tiles = memory + Shape::kStages * Shape::kTileBytes;
  const Queries<Shape> queries(task, place, first_pair, behind_tiles);
  // Values of the partitions before: a column for each thread.
  auto* const before = reinterpret_cast<float*>(behind_tiles + Shape::kQueryBytes) + threadIdx.x;
  float before_maxima[2] = {-INFINITY, -INFINITY};
  float before_sums[2] = {0.0f, 0.0f};
  bool is_first = true;
  Part<Shape> part;
  clear(part);

  for (KeyTile tile = next(first); tile.number < last;) {
    const auto next_stage = [&] {  // the tile is there, and nobody reads the one copied over
      wait_copies<Shape::kStages - 2>();
      sync_block();
      copy_next();
      return memory + copied % Shape::kStages * Shape::kTileBytes;
    };
    float scores[Shape::kScores][4];
    const std::byte* const tile_k = next_stage();
    if (has_pairs) {
      multiply_keys<Shape>(queries, tile_k, scores);
      find_weights<Shape>(task.scale, tile.attended, scores, part);
    }
    const std::byte* const tile_v = next_stage();
    if (has_pairs) multiply_values<Shape>(scores, tile_v, part.values);
    const KeyTile following = next(tile.number + 1);
    const bool is_last = following.number >= last;
    if (!is_split && (is_last || following.number / Shape::kTilesOfPartition !=
                                     tile.number / Shape::kTilesOfPartition)) {
      const Factors factors = merge_weights(before_maxima, before_sums, part.maxima, part.sums);
      FDLLM_UNROLL
      for (int i = 0; i < 4 * Shape::kSums; ++i) {
        float& value = part.values[i / 4][i % 4];
        value = merge_values(factors, i, is_first ? 0.0f : before[i * Shape::kThreads], value);
        if (!is_last) before[i * Shape::kThreads] = value;
      }
      is_first = false;
      if (!is_last) clear(part);
    }
    tile = following;
  }
  if (!is_split) {
    write_output<Shape>(task, place, first_pair, before_sums, part.values);
    return;
  }

  const std::int64_t at = std::int64_t{blockIdx.x} * task.layout.kv_heads + kv_head;
  constexpr int kPartSize = Shape::kPartValues * Shape::kThreads;
  float* const parts =
      reinterpret_cast<float*>(task.partials) + at * task.partitions * kPartSize + threadIdx.x;
  float* const mine = parts + blockIdx.z * kPartSize;
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    mine[half * Shape::kThreads] = part.maxima[half];
    mine[(2 + half) * Shape::kThreads] = part.sums[half];
  }
  FDLLM_UNROLL
  for (int i = 0; i < 4 * Shape::kSums; ++i) {
    mine[(4 + i) * Shape::kThreads] = part.values[i / 4][i % 4];
  }
  if (!is_last_block(task.counters + at, partitions, reinterpret_cast<std::int32_t*>(memory))) {
    return;
  }
  clear(part);
  for (int partition = 0; partition < partitions; ++partition) {
    const int begin = partition * Shape::kTilesOfPartition;
    const int end = begin + Shape::kTilesOfPartition;
    if (next_attended<Shape>(attended, begin, end).number == end) continue;
    const float* const from = parts + partition * kPartSize;
    const auto load = [&](int i) { return load_shared_by_blocks(from + i * Shape::kThreads); };
    const float next_maxima[2] = {load(0), load(1)};
    const float next_sums[2] = {load(2), load(3)};
    const Factors factors = merge_weights(part.maxima, part.sums, next_maxima, next_sums);
    FDLLM_UNROLL
    for (int i = 0; i < 4 * Shape::kSums; ++i) {
      float& value = part.values[i / 4][i % 4];
      value = merge_values(factors, i, value, load(4 + i));
    }
  }
  write_output<Shape>(task, place, first_pair, part.sums, part.values);
}

template <typename Shape>
void launch_shape(Stream stream, const AttentionTask& task) {
  const bool is_split = task.partials != nullptr;
  const std::size_t before_bytes =
      is_split || task.partitions == 1 ? 0 : 4 * std::size_t{Shape::kPairs} * Shape::kDim;
  launch(stream,
         {.x = task.tile_count,
          .y = task.layout.kv_heads,
          .z = is_split ? task.partitions : 1,
          .threads = Shape::kThreads,
          .shared_bytes =
              std::size_t{Shape::kStages} * Shape::kTileBytes + Shape::kQueryBytes + before_bytes},
         attend_bf16<Shape>, task);
}

/// `use` gets a BlockShape that fits the task.
template <typename Use>
void with_shape(const AttentionTask& task, const Use& use) {
  const bool is_many = task.tile_pairs == kManyPairs;
  if (task.layout.head_dim <= 64) {
    is_many ? use(BlockShape<64, 4>{}) : use(BlockShape<64, 2>{});
  } else if (task.layout.head_dim <= kManyPairsHeadDim) {
    is_many ? use(BlockShape<128, 4>{}) : use(BlockShape<128, 2>{});
  } else {
    use(BlockShape<256, 2>{});
  }
}

}  // namespace

std::size_t attention_partial_bytes(const AttentionTask& task) {
  std::size_t bytes = 0;
  with_shape(task, [&]<typename Shape>(Shape) {
    bytes = static_cast<std::size_t>(task.tile_count * task.layout.kv_heads * task.partitions) *
            Shape::kPartValues * Shape::kThreads * sizeof(float);
  });
  return bytes;
}

void run_attention_bf16(Stream stream, const AttentionTask& task) {
  with_shape(task, [&]<typename Shape>(Shape) { launch_shape<Shape>(stream, task); });
}

}  // namespace fdllm::cuda
