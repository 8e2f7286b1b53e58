// Attention over the K/V slabs with an online softmax.
//
// The slab's rows fall into partitions of kPartition keys at fixed places. A block takes up to
// kAttentionRows (query row, head) pairs of one K/V head. For each partition it finds the scores,
// their maximum, the weights and the weighted sum of V anew, and then merges them with what the
// partitions before gave; so a result is the same whether one block goes over all partitions (many
// rows) or each has a block of its own and a second kernel merges (few rows, a long K/V).
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.h"
#include "base/dtype.h"

namespace fdllm::cuda {
namespace {

constexpr unsigned kThreads = 128;
constexpr int kRows = static_cast<int>(kAttentionRows);
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

template <typename Element>
FDLLM_DEVICE float value_of(Element element) {
  if constexpr (sizeof(Element) == sizeof(bf16)) {
    return to_float(element);
  } else {
    return element;
  }
}
/// As a product with Element operands sees it.
template <typename Element>
FDLLM_DEVICE float rounded(float value) {
  return sizeof(Element) == sizeof(bf16) ? round_bf16(value) : value;
}

/// Which keys of a partition are attended; returns how many, in every thread.
FDLLM_DEVICE int fill_mask(const AttentionTask& task, const DeviceSequence& sequence,
                           std::int64_t first_key, const Shared& shared) {
  int* const counts = reinterpret_cast<int*>(shared.maxima);  // not in use yet
  int attended = 0;
  for (int i = static_cast<int>(threadIdx.x); i < kKeys; i += kThreads) {
    const auto key = static_cast<std::int32_t>(first_key + i);
    int is_attended = 0;
    for (std::int32_t j = sequence.attend_begin; j < sequence.attend_end; ++j) {
      if (task.attend[j].begin <= key && key < task.attend[j].end) is_attended = 1;
    }
    shared.mask[i] = is_attended;
    attended += is_attended;
  }
  attended = warp_sum(attended);
  if (threadIdx.x % kWarp == 0) counts[threadIdx.x / kWarp] = attended;
  sync_block();
  int total = 0;
  for (unsigned i = 0; i < kThreads / kWarp; ++i) total += counts[i];
  sync_block();
  return total;
}

/// q . k of each attended key, which one thread reads from end to end.
template <typename Element>
FDLLM_DEVICE void find_scores(const AttentionTask& task, const std::byte* k, const Shared& shared) {
  constexpr int kVector = static_cast<int>(16 / sizeof(Element));
  const std::int64_t padded_dim = task.layout.padded_dim;
  for (int key = static_cast<int>(threadIdx.x); key < kKeys; key += kThreads) {
    if (shared.mask[key] == 0) continue;
    const auto* row = reinterpret_cast<const Element*>(k) + key * padded_dim;
    float scores[kRows] = {};
    for (std::int64_t dim = 0; dim < padded_dim; dim += kVector) {
      union {
        Vector16 vector;
        Element elements[kVector];
      } part{load_16(row + dim)};
      FDLLM_UNROLL
      for (int i = 0; i < kVector; ++i) {
        const float value = value_of(part.elements[i]);
        const float* const queries = shared.q + (dim + i) * kRows;
        FDLLM_UNROLL
        for (int j = 0; j < kRows; ++j) scores[j] = multiply_add(queries[j], value, scores[j]);
      }
    }
    FDLLM_UNROLL
    for (int j = 0; j < kRows; ++j) {
      shared.weights[key * kWeightStride + j] = scores[j] * task.scale;
    }
  }
}

/// Turns scores into weights; each warp takes some rows.
template <typename Element>
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
      const float exact = expf(weight - maximum);  // NaN stays NaN
      sum += exact;
      weight = rounded<Element>(exact);
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
FDLLM_DEVICE Merged nothing() {
  return {-INFINITY, 0.0f, 0.0f};
}

/// kDims: head dims of a thread.
template <typename Element, int kDims>
FDLLM_KERNEL(kThreads)
attend(AttentionTask task) {
  FDLLM_SHARED_MEMORY(memory);
  const AttentionLayout& layout = task.layout;
  const Shared shared(memory, layout.padded_dim);
  const AttentionTile tile = task.tiles[blockIdx.x];
  const std::int64_t kv_head = blockIdx.y;
  const DeviceSequence sequence = task.sequences[tile.sequence];
  const std::int64_t partitions = (sequence.length + kPartition - 1) / kPartition;
  const bool is_split = task.partials != nullptr;
  const std::int64_t first = is_split ? blockIdx.z : 0;
  const std::int64_t last = is_split ? first + 1 : partitions;
  if (first >= partitions) return;

  const auto group = static_cast<std::int32_t>(layout.heads / layout.kv_heads);
  const std::int64_t row_size = (layout.heads + 2 * layout.kv_heads) * layout.head_dim;
  const int rows = tile.end - tile.begin;
  const auto row_of = [&](int i) { return sequence.first_row + (tile.begin + i) / group; };
  const auto head_of = [&](int i) { return kv_head * group + (tile.begin + i) % group; };
  for (int i = static_cast<int>(threadIdx.x); i < kRows * layout.padded_dim; i += kThreads) {
    const int row = i % kRows;
    const int dim = i / kRows;
    const bool inside = row < rows && dim < layout.head_dim;
    shared.q[i] = inside
                      ? rounded<Element>(
                            task.qkv[row_of(row) * row_size + head_of(row) * layout.head_dim + dim])
                      : 0.0f;
  }
  const std::int64_t head_bytes =
      sequence.length * layout.padded_dim * static_cast<std::int64_t>(sizeof(Element));
  const std::byte* const k =
      sequence.kv + (layout.layer * 2 * layout.kv_heads + kv_head) * head_bytes;
  const std::byte* const v = k + layout.kv_heads * head_bytes;

  Merged all[kDims][kRows];
  FDLLM_UNROLL
  for (int j = 0; j < kDims; ++j) {
    FDLLM_UNROLL
    for (int i = 0; i < kRows; ++i) all[j][i] = nothing();
  }
  for (std::int64_t partition = first; partition < last; ++partition) {
    const std::int64_t first_key = partition * kPartition;
    const std::int64_t at = first_key * layout.padded_dim;
    const int attended = fill_mask(task, sequence, first_key, shared);
    if (attended == 0) continue;
    find_scores<Element>(
        task, reinterpret_cast<const std::byte*>(reinterpret_cast<const Element*>(k) + at), shared);
    sync_block();
    find_weights<Element>(shared);
    sync_block();
    FDLLM_UNROLL
    for (int j = 0; j < kDims; ++j) {
      const std::int64_t dim = threadIdx.x + j * kThreads;
      if (dim >= layout.padded_dim) continue;
      const Element* const column = reinterpret_cast<const Element*>(v) + at + dim;
      float sums[kRows] = {};
      for (int key = 0; key < kKeys; ++key) {
        if (shared.mask[key] == 0) continue;
        const float value = value_of(column[key * layout.padded_dim]);
        const float* const weights = shared.weights + key * kWeightStride;
        FDLLM_UNROLL
        for (int i = 0; i < kRows; ++i) sums[i] = multiply_add(weights[i], value, sums[i]);
      }
      FDLLM_UNROLL
      for (int i = 0; i < kRows; ++i) {
        merge(all[j][i], {shared.maxima[i], shared.sums[i], sums[i]});
      }
    }
    sync_block();  // before the next partition's mask and scores
  }

  FDLLM_UNROLL
  for (int j = 0; j < kDims; ++j) {
    const std::int64_t dim = threadIdx.x + j * kThreads;
    if (dim >= layout.padded_dim) continue;
    FDLLM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      if (i >= rows) break;
      const std::int64_t output = row_of(i) * layout.heads + head_of(i);
      if (is_split) {
        float* const partial =
            task.partials + (output * task.partitions + first) * (layout.padded_dim + 2);
        partial[dim] = all[j][i].value;
        if (dim == 0) {
          partial[layout.padded_dim] = all[j][i].maximum;
          partial[layout.padded_dim + 1] = all[j][i].sum;
        }
      } else if (dim < layout.head_dim) {
        task.out[output * layout.head_dim + dim] = all[j][i].value * (1.0f / all[j][i].sum);
      }
    }
  }
}

/// One block for a pair of a tile.
FDLLM_KERNEL(kThreads) merge_partitions(AttentionTask task) {
  const AttentionLayout& layout = task.layout;
  const AttentionTile tile = task.tiles[blockIdx.x];
  const DeviceSequence sequence = task.sequences[tile.sequence];
  const std::int64_t partitions = (sequence.length + kPartition - 1) / kPartition;
  const auto group = static_cast<std::int32_t>(layout.heads / layout.kv_heads);
  for (std::int32_t pair = tile.begin; pair < tile.end; ++pair) {
    const std::int64_t output = (sequence.first_row + pair / group) * layout.heads +
                                std::int64_t{blockIdx.y} * group + pair % group;
    for (std::int64_t dim = threadIdx.x; dim < layout.head_dim; dim += kThreads) {
      Merged all = nothing();
      for (std::int64_t i = 0; i < partitions; ++i) {
        const float* const partial =
            task.partials + (output * task.partitions + i) * (layout.padded_dim + 2);
        const Merged part{partial[layout.padded_dim], partial[layout.padded_dim + 1], partial[dim]};
        if (part.sum == 0.0f) continue;  // nothing attended: a weight of at least 1 is in every sum
        merge(all, part);
      }
      task.out[output * layout.head_dim + dim] = all.value * (1.0f / all.sum);
    }
  }
}

template <typename Element>
void launch_attend(Stream stream, const LaunchShape& shape, const AttentionTask& task) {
  if (task.layout.padded_dim <= kThreads) {
    launch(stream, shape, attend<Element, 1>, task);
  } else {
    launch(stream, shape, attend<Element, 2>, task);
  }
}

}  // namespace

std::int64_t partial_elements(const AttentionTask& task) {
  return task.rows * task.layout.heads * task.partitions * (task.layout.padded_dim + 2);
}

void run_attention(Stream stream, const AttentionTask& task) {
  const bool is_split = task.partials != nullptr;
  const LaunchShape shape{.x = task.tile_count,
                          .y = task.layout.kv_heads,
                          .z = is_split ? task.partitions : 1,
                          .threads = kThreads,
                          .shared_bytes = Shared::bytes(task.layout.padded_dim)};
  if (task.layout.is_bf16) {
    launch_attend<bf16>(stream, shape, task);
  } else {
    launch_attend<float>(stream, shape, task);
  }
  if (!is_split) return;
  launch(stream, {.x = task.tile_count, .y = task.layout.kv_heads, .threads = kThreads},
         merge_partitions, task);
}

}  // namespace fdllm::cuda
