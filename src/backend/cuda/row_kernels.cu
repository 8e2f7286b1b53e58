// Operations on rows: norms, SwiGLU, RoPE with the K/V store, and activations made ready for
// products.
#include <bit>
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.h"
#include "base/dtype.h"

namespace fdllm::cuda {
namespace {

constexpr unsigned kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr float kActivationSteps = 127.0f;
constexpr float kSmallestQuantized = 1e-30f;

/// The sum over the block's threads, in all of them; `scratch` has kWarps elements.
FDLLM_DEVICE float block_sum(float value, float* scratch) {
  value = warp_sum(value);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
  sync_block();
  float total = 0;
  for (int i = 0; i < kWarps; ++i) total += scratch[i];
  return total;
}

FDLLM_KERNEL(kThreads) rms_norm(RmsNormTask task) {
  FDLLM_SHARED_MEMORY(shared);
  const std::int64_t row = blockIdx.x;
  const float* x = task.x + row * task.columns;
  float squares = 0;
  for (std::int64_t i = threadIdx.x; i < task.columns; i += kThreads) {
    squares = multiply_add(x[i], x[i], squares);
  }
  const float mean =
      block_sum(squares, reinterpret_cast<float*>(shared)) / static_cast<float>(task.columns);
  const float factor = 1.0f / sqrtf(mean + task.eps);
  for (std::int64_t i = threadIdx.x; i < task.columns; i += kThreads) {
    task.out[row * task.columns + i] = x[i] * factor * task.weight[i];
  }
}

FDLLM_KERNEL(kThreads) swiglu(SwigluTask task) {
  const std::int64_t row = blockIdx.x;
  const float* gate = task.gate_up + row * 2 * task.ffn;
  for (std::int64_t i = threadIdx.x; i < task.ffn; i += kThreads) {
    task.out[row * task.ffn + i] = gate[i] / (1.0f + expf(-gate[i])) * gate[task.ffn + i];
  }
}

FDLLM_KERNEL(kThreads) gather(GatherTask task) {
  const std::int64_t row = blockIdx.x;
  const float* from = task.x + task.rows[row] * task.columns;
  for (std::int64_t i = threadIdx.x; i < task.columns; i += kThreads) {
    task.out[row * task.columns + i] = from[i];
  }
}

template <typename Value>
FDLLM_DEVICE Value converted(float value) {
  if constexpr (sizeof(Value) == sizeof(bf16)) {
    return to_bf16(value);
  } else {
    return value;
  }
}

template <typename Value>
FDLLM_KERNEL(kThreads)
prepare_floats(PrepareTask task) {
  const std::int64_t row = blockIdx.x;
  const float* from = task.x + (task.index == nullptr ? row : task.index[row]) * task.columns;
  auto* const to = reinterpret_cast<Value*>(task.out + row * task.out_stride);
  const auto padded = static_cast<std::int64_t>(task.out_stride / std::int64_t{sizeof(Value)});
  for (std::int64_t i = threadIdx.x; i < padded; i += kThreads) {
    to[i] = converted<Value>(i < task.columns ? from[i] : 0.0f);
  }
}

/// A magnitude as a number whose order is the same, NaN last.
FDLLM_DEVICE std::int32_t magnitude_bits(float value) {
  return std::bit_cast<std::int32_t>(value) & 0x7fffffff;
}

FDLLM_DEVICE std::int32_t warp_max_int(std::int32_t value) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    const std::int32_t other = shuffle_xor(value, bits);
    value = other > value ? other : value;
  }
  return value;
}

FDLLM_DEVICE std::int32_t largest_of(const float* from, std::int64_t begin, std::int64_t end,
                                     unsigned first, unsigned step) {
  std::int32_t largest = 0;
  for (std::int64_t i = begin + first; i < end; i += step) {
    const std::int32_t bits = magnitude_bits(from[i]);
    largest = bits > largest ? bits : largest;
  }
  return warp_max_int(largest);
}

/// One block for a row, a warp for a segment; the integers and scales of the scalar CPU kernels.
FDLLM_KERNEL(kThreads) quantize(PrepareTask task) {
  FDLLM_SHARED_MEMORY(shared);
  constexpr std::int32_t kInfinity = 0x7f800000;
  const std::int64_t row = blockIdx.x;
  const unsigned warp = threadIdx.x / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  const float* from = task.x + (task.index == nullptr ? row : task.index[row]) * task.columns;
  auto* const to = reinterpret_cast<std::int8_t*>(task.out + row * task.out_stride);
  std::int32_t shared_largest = 0;
  if (task.shared_scale) {
    auto* const of_warps = reinterpret_cast<std::int32_t*>(shared);
    const std::int32_t mine = largest_of(from, 0, task.columns, threadIdx.x, kThreads);
    if (lane == 0) of_warps[warp] = mine;
    sync_block();
    for (int i = 0; i < kWarps; ++i) {
      shared_largest = of_warps[i] > shared_largest ? of_warps[i] : shared_largest;
    }
  }
  const std::int64_t segments = (task.columns + task.segment - 1) / task.segment;
  for (std::int64_t segment = warp; segment < segments; segment += kWarps) {
    const std::int64_t begin = segment * task.segment;
    const std::int64_t end =
        begin + task.segment < task.columns ? begin + task.segment : task.columns;
    const std::int32_t bits =
        task.shared_scale ? shared_largest : largest_of(from, begin, end, lane, kWarp);
    const float largest = std::bit_cast<float>(bits);
    const bool used = bits < kInfinity && largest >= kSmallestQuantized;
    const float inverse = used ? kActivationSteps / largest : 0.0f;
    std::int32_t sum = 0;
    for (std::int64_t i = begin + lane; i < end; i += kWarp) {
      const auto q = static_cast<std::int8_t>(used ? rintf(from[i] * inverse) : 0.0f);
      to[i] = q;
      sum += q;
    }
    sum = warp_sum(sum);
    if (lane == 0) {
      const float scale = bits < kInfinity ? 0.0f : std::bit_cast<float>(0x7fc00000);
      task.scales[row * segments + segment] = used ? largest / kActivationSteps : scale;
      task.offsets[row * segments + segment] = task.weight_offset * sum;
    }
  }
  for (std::int64_t i = task.columns + threadIdx.x; i < task.out_stride; i += kThreads) to[i] = 0;
}

FDLLM_DEVICE void store(std::byte* kv, std::int64_t at, float value, bool is_bf16) {
  if (is_bf16) {
    reinterpret_cast<bf16*>(kv)[at] = to_bf16(value);
  } else {
    reinterpret_cast<float*>(kv)[at] = value;
  }
}

/// One block for a row: threads go over pairs of q and k heads, then over v.
FDLLM_KERNEL(kThreads) rope_store(RopeTask task) {
  const std::int64_t row = blockIdx.x;
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
  for (std::int64_t i = threadIdx.x; i < (layout.heads + layout.kv_heads) * half; i += kThreads) {
    const std::int64_t head = i / half;
    const std::int64_t pair = i % half;
    float* const x = values + head * dim + pair;
    const float cosine = task.cos[position * half + pair];
    const float sine = task.sin[position * half + pair];
    const float first = x[0] * cosine - x[half] * sine;
    const float second = x[half] * cosine + x[0] * sine;
    x[0] = first;
    x[half] = second;
    if (head >= layout.heads) {
      const std::int64_t at = k_at + (head - layout.heads) * head_size + pair;
      store(sequence.kv, at, first, layout.is_bf16);
      store(sequence.kv, at + half, second, layout.is_bf16);
    }
  }
  const float* v = values + (layout.heads + layout.kv_heads) * dim;
  for (std::int64_t i = threadIdx.x; i < layout.kv_heads * dim; i += kThreads) {
    store(sequence.kv, k_at + (layout.kv_heads + i / dim) * head_size + i % dim, v[i],
          layout.is_bf16);
  }
}

}  // namespace

void run_rms_norm(Stream stream, const RmsNormTask& task) {
  launch(stream, {.x = task.rows, .threads = kThreads, .shared_bytes = kWarps * sizeof(float)},
         rms_norm, task);
}

void run_swiglu(Stream stream, const SwigluTask& task) {
  launch(stream, {.x = task.rows, .threads = kThreads}, swiglu, task);
}

void run_gather(Stream stream, const GatherTask& task) {
  launch(stream, {.x = task.count, .threads = kThreads}, gather, task);
}

void run_prepare(Stream stream, OperandKind kind, const PrepareTask& task) {
  LaunchShape shape{.x = task.rows, .threads = kThreads};
  switch (kind) {
    case OperandKind::kF32:
      launch(stream, shape, prepare_floats<float>, task);
      return;
    case OperandKind::kBF16:
      launch(stream, shape, prepare_floats<bf16>, task);
      return;
    case OperandKind::kInt8:
    case OperandKind::kInt4:
      shape.shared_bytes = kWarps * sizeof(std::int32_t);
      launch(stream, shape, quantize, task);
      return;
  }
}

void run_rope_store(Stream stream, const RopeTask& task) {
  launch(stream, {.x = task.rows, .threads = kThreads}, rope_store, task);
}

}  // namespace fdllm::cuda
