// Attention over f32 K/V with fused multiply-adds, since the matrix units would round. A block
// takes up to kF32TilePairs (query row, head) pairs of one K/V head over all partitions.
#include <cmath>

#include "backend/cuda/attention.cuh"
#include "backend/cuda/launch.h"

namespace fdllm::cuda {
namespace {

constexpr unsigned kThreads = 128;
constexpr int kRows = static_cast<int>(kF32TilePairs);
constexpr int kKeys = static_cast<int>(kPartition);
constexpr int kRowsOfWarp = kRows / (kThreads / kWarp);
/// Weights of one key lie together, aligned to 16 bytes.
constexpr int kWeightStride = kRows + 4;

/// The shared memory of a block.
struct Shared {
  float* q;            ///< [padded_dim][kRows]
  float* weights;      ///< [kKeys][kWeightStride] scores, then attention weights
  float* maxima;       ///< [kRows] of the partition
  float* sums;         ///< [kRows]
  std::int32_t* mask;  ///< [kKeys] 1: attended
  static constexpr std::size_t bytes(std::int64_t padded_dim) {
    return static_cast<std::size_t>(padded_dim * kRows + kKeys * kWeightStride + 2 * kRows +
                                    kKeys) *
           sizeof(float);
  }
  FDLLM_DEVICE Shared(std::byte* memory, std::int64_t padded_dim) {
    q = reinterpret_cast<float*>(memory);
    weights = q + padded_dim * kRows;
    maxima = weights + kKeys * kWeightStride;
    sums = maxima + kRows;
    mask = reinterpret_cast<std::int32_t*>(sums + kRows);
  }
};

/// Which keys of a partition are attended; whether any is, in every thread.
FDLLM_DEVICE bool fill_mask(const std::uint32_t* attended, const Shared& shared) {
  std::uint32_t any = 0;
  for (int i = 0; i < kKeys / 32; ++i) any |= attended[i];
  for (int i = static_cast<int>(threadIdx.x); i < kKeys; i += kThreads) {
    shared.mask[i] = static_cast<std::int32_t>(attended[i / 32] >> (i % 32) & 1u);
  }
  sync_block();
  return any != 0;
}

/// q . k of each attended key, which one thread reads from end to end.
FDLLM_DEVICE void find_scores(const AttentionTask& task, const float* k, const Shared& shared) {
  constexpr int kVector = 4;
  const std::int64_t padded_dim = task.layout.padded_dim;
  for (int key = static_cast<int>(threadIdx.x); key < kKeys; key += kThreads) {
    if (shared.mask[key] == 0) continue;
    const float* const row = k + key * padded_dim;
    float scores[kRows] = {};
    for (std::int64_t dim = 0; dim < padded_dim; dim += kVector) {
      union {
        Vector16 vector;
        float elements[kVector];
      } part{load_16(row + dim)};
      FDLLM_UNROLL
      for (int i = 0; i < kVector; ++i) {
        const float* const queries = shared.q + (dim + i) * kRows;
        FDLLM_UNROLL
        for (int j = 0; j < kRows; ++j) {
          scores[j] = multiply_add(queries[j], part.elements[i], scores[j]);
        }
      }
    }
    FDLLM_UNROLL
    for (int j = 0; j < kRows; ++j) {
      shared.weights[key * kWeightStride + j] = scores[j] * task.scale;
    }
  }
}

/// Turns scores into weights; each warp takes some rows.
FDLLM_DEVICE void find_weights(const Shared& shared) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int i = 0; i < kRowsOfWarp; ++i) {
    const int row = warp * kRowsOfWarp + i;
    float maximum = -INFINITY;
    for (int key = lane; key < kKeys; key += kWarp) {
      const float score = shared.weights[key * kWeightStride + row];
      if (shared.mask[key] != 0 && score > maximum) maximum = score;
    }
    maximum = warp_max(maximum);
    float sum = 0;
    for (int key = lane; key < kKeys; key += kWarp) {
      if (shared.mask[key] == 0) continue;
      float& weight = shared.weights[key * kWeightStride + row];
      weight = expf(weight - maximum);  // NaN stays NaN
      sum += weight;
    }
    sum = warp_sum(sum);
    if (lane == 0) {
      shared.maxima[row] = maximum;
      shared.sums[row] = sum;
    }
  }
}

/// What some partitions say about one output: the maximum and sum of their weights, and the
/// weighted sum of V.
struct Merged {
  float maximum, sum, value;
};
FDLLM_DEVICE void merge(Merged& all, const Merged& part) {
  const float maximum = part.maximum > all.maximum ? part.maximum : all.maximum;
  const float old_factor = expf(all.maximum - maximum);
  const float new_factor = expf(part.maximum - maximum);
  all.sum = multiply_add(part.sum, new_factor, all.sum * old_factor);
  all.value = multiply_add(part.value, new_factor, all.value * old_factor);
  all.maximum = maximum;
}
/// kDims: head dims of a thread.
template <int kDims>
FDLLM_KERNEL(kThreads)
attend_f32(AttentionTask task) {
  FDLLM_SHARED_MEMORY(memory);
  const AttentionLayout& layout = task.layout;
  const Shared shared(memory, layout.padded_dim);
  const TilePlace place(task, blockIdx.y);
  const int rows = place.pairs();
  if (rows == 0) return;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * layout.padded_dim; i += kThreads) {
    const int row = i % kRows;
    const int dim = i / kRows;
    const bool inside = row < rows && dim < layout.head_dim;
    shared.q[i] = inside ? task.qkv[place.query_of(row) + dim] : 0.0f;
  }
  const auto* const k = reinterpret_cast<const float*>(place.k(sizeof(float)));
  const auto* const v = reinterpret_cast<const float*>(place.v(sizeof(float)));
  const std::uint32_t* const attended = task.attended + place.sequence.attended_begin;

  Merged all[kDims][kRows];
  FDLLM_UNROLL
  for (int j = 0; j < kDims; ++j) {
    FDLLM_UNROLL
    for (int i = 0; i < kRows; ++i) all[j][i] = {-INFINITY, 0.0f, 0.0f};
  }
  for (int partition = 0; partition < place.partitions(); ++partition) {
    const std::int64_t at = std::int64_t{partition} * kKeys * layout.padded_dim;
    if (fill_mask(attended + partition * kKeys / 32, shared)) {
      find_scores(task, k + at, shared);
      sync_block();
      find_weights(shared);
      sync_block();
      FDLLM_UNROLL
      for (int j = 0; j < kDims; ++j) {
        const std::int64_t dim = threadIdx.x + j * kThreads;
        if (dim >= layout.padded_dim) continue;
        const float* const column = v + at + dim;
        float sums[kRows] = {};
        for (int key = 0; key < kKeys; ++key) {
          if (shared.mask[key] == 0) continue;
          const float value = column[key * layout.padded_dim];
          const float* const weights = shared.weights + key * kWeightStride;
          FDLLM_UNROLL
          for (int i = 0; i < kRows; ++i) sums[i] = multiply_add(weights[i], value, sums[i]);
        }
        FDLLM_UNROLL
        for (int i = 0; i < kRows; ++i) {
          merge(all[j][i], {shared.maxima[i], shared.sums[i], sums[i]});
        }
      }
    }
    sync_block();  // before the next partition's mask and scores
  }

  FDLLM_UNROLL
  for (int j = 0; j < kDims; ++j) {
    const std::int64_t dim = threadIdx.x + j * kThreads;
    if (dim >= layout.head_dim) continue;
    FDLLM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      if (i < rows) task.out[place.output_of(i) + dim] = all[j][i].value * (1.0f / all[j][i].sum);
    }
  }
}

}  // namespace

void run_attention_f32(Stream stream, const AttentionTask& task) {
  launch(stream,
         {.x = task.tile_count,
          .y = task.layout.kv_heads,
          .threads = kThreads,
          .shared_bytes = Shared::bytes(task.layout.padded_dim)},
         task.layout.padded_dim <= kThreads ? attend_f32<1> : attend_f32<2>, task);
}

}  // namespace fdllm::cuda
