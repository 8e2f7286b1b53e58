// Operations on rows: embeddings, copies, RoPE with the K/V store.
#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.h"
#include "base/dtype.h"

namespace fdllm::cuda {
namespace {

constexpr unsigned kThreads = 128;
/// Columns of a block; a row is several blocks' so that few rows fill a GPU too.
constexpr std::int64_t kColumns = 4 * kThreads;

FDLLM_DEVICE float as_float(float value) {
  return value;
}
FDLLM_DEVICE float as_float(f16 value) {
  return to_float(value);
}
FDLLM_DEVICE float as_float(bf16 value) {
  return to_float(value);
}

/// Copies a block's columns of a row.
template <typename Stored>
FDLLM_DEVICE void copy_columns(const Stored* from, std::int64_t columns, float* to) {
  const std::int64_t begin = std::int64_t{blockIdx.y} * kColumns;
  const std::int64_t end = begin + kColumns < columns ? begin + kColumns : columns;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) to[i] = as_float(from[i]);
}

template <typename Stored>
FDLLM_KERNEL(kThreads)
embed(EmbedTask task) {
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  copy_columns(reinterpret_cast<const Stored*>(task.table) + task.tokens[row] * task.columns,
               task.columns, task.out + row * task.columns);
}

FDLLM_KERNEL(kThreads) gather(GatherTask task) {
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  copy_columns(task.x + task.index[row] * task.columns, task.columns,
               task.out + row * task.columns);
}

FDLLM_KERNEL(kThreads) join(JoinTask task) {
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  const DeviceSlice slice = task.slices[blockIdx.z];
  copy_columns(slice.from + row * slice.stride, slice.columns,
               task.out + row * task.columns + slice.out_begin);
}

FDLLM_DEVICE void store(std::byte* kv, std::int64_t at, float value, bool is_bf16) {
  if (is_bf16) {
    reinterpret_cast<bf16*>(kv)[at] = to_bf16(value);
  } else {
    reinterpret_cast<float*>(kv)[at] = value;
  }
}

/// A warp for a head of a row's q or k.
FDLLM_KERNEL(kThreads) head_norm(HeadNormTask task) {
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  const std::int64_t head = std::int64_t{blockIdx.y} * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (head >= task.heads + task.kv_heads) return;
  const std::int64_t dim = task.head_dim;
  float* const x = task.qkv + (row * (task.heads + 2 * task.kv_heads) + head) * dim;
  const float* const weight = head < task.heads ? task.q_weight : task.k_weight;
  const std::int64_t lane = threadIdx.x % kWarp;
  float squares = 0;
  for (std::int64_t i = lane; i < dim; i += kWarp) squares = multiply_add(x[i], x[i], squares);
  const float mean = warp_sum(squares) / static_cast<float>(dim);
  const float factor = 1.0f / sqrtf(mean + task.eps);
  for (std::int64_t i = lane; i < dim; i += kWarp) x[i] = x[i] * factor * weight[i];
}

/// A block for some pairs of a row's q and k heads, and as many of its v.
FDLLM_KERNEL(kThreads) rope_store(RopeTask task) {
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  const std::int32_t index = task.row_sequence[row];
  if (index < 0) return;
  const AttentionLayout& layout = task.layout;
  const DeviceSequence sequence = task.sequences[index];
  const std::int64_t position = task.positions[row];
  const std::int64_t dim = layout.head_dim;
  const std::int64_t half = dim / 2;
  float* const values = task.qkv + row * (layout.heads + 2 * layout.kv_heads) * dim;
  const std::int64_t head_size = sequence.length * layout.padded_dim;
  const std::int64_t k_at =
      layout.layer * 2 * layout.kv_heads * head_size + position * layout.padded_dim;
  const std::int64_t first = std::int64_t{blockIdx.y} * kThreads + threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.y} * kThreads;
  for (std::int64_t i = first; i < (layout.heads + layout.kv_heads) * half; i += step) {
    const std::int64_t head = i / half;
    const std::int64_t pair = i % half;
    float* const x = values + head * dim + pair;
    const float cosine = task.cos[position * half + pair];
    const float sine = task.sin[position * half + pair];
    const float low = x[0] * cosine - x[half] * sine;
    const float high = x[half] * cosine + x[0] * sine;
    x[0] = low;
    x[half] = high;
    if (head >= layout.heads) {
      const std::int64_t at = k_at + (head - layout.heads) * head_size + pair;
      store(sequence.kv, at, low, layout.is_bf16);
      store(sequence.kv, at + half, high, layout.is_bf16);
    }
  }
  const float* v = values + (layout.heads + layout.kv_heads) * dim;
  for (std::int64_t i = first; i < layout.kv_heads * dim; i += step) {
    store(sequence.kv, k_at + (layout.kv_heads + i / dim) * head_size + i % dim, v[i],
          layout.is_bf16);
  }
}

LaunchShape shape_of(const Rows& rows, std::int64_t columns) {
  return {.x = rows.most, .y = (columns + kColumns - 1) / kColumns, .threads = kThreads};
}

}  // namespace

void run_embed(Stream stream, const EmbedTask& task) {
  const LaunchShape shape = shape_of(task.rows, task.columns);
  switch (task.dtype) {
    case DType::kF16:
      return launch(stream, shape, embed<f16>, task);
    case DType::kBF16:
      return launch(stream, shape, embed<bf16>, task);
    default:
      return launch(stream, shape, embed<float>, task);
  }
}

void run_gather(Stream stream, const GatherTask& task) {
  launch(stream, shape_of(task.rows, task.columns), gather, task);
}

void run_join(Stream stream, const JoinTask& task) {
  LaunchShape shape = shape_of(task.rows, task.widest);
  shape.z = task.slice_count;
  launch(stream, shape, join, task);
}

void run_head_norm(Stream stream, const HeadNormTask& task) {
  constexpr std::int64_t kWarps = kThreads / kWarp;
  const LaunchShape shape{.x = task.rows.most,
                          .y = (task.heads + task.kv_heads + kWarps - 1) / kWarps,
                          .threads = kThreads};
  launch(stream, shape, head_norm, task);
}

void run_rope_store(Stream stream, const RopeTask& task) {
  const std::int64_t pairs =
      (task.layout.heads + task.layout.kv_heads) * (task.layout.head_dim / 2);
  launch(stream, shape_of(task.rows, pairs), rope_store, task);
}

}  // namespace fdllm::cuda
