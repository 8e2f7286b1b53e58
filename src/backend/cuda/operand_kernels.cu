// RMSNorm and SwiGLU, and activations made ready for products: as what they come from is computed,
// or later from a buffer.
#include <algorithm>
#include <bit>
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.h"
#include "base/dtype.h"

namespace fdllm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
/// Columns of a block where nothing is found of a whole row: several blocks share a row then, so
/// that few rows fill a GPU too. A multiple of all segments that have scales of their own.
constexpr std::int64_t kColumns = 1024;
/// Values of a segment that one warp adds up.
constexpr int kPiece = 256;
constexpr float kActivationSteps = 127.0f;
constexpr float kSmallestQuantized = 1e-30f;
constexpr std::int32_t kInfinity = 0x7f800000;
constexpr std::size_t kWarpBytes = kWarps * sizeof(float);

// Where values come from: value(i) of a row's column, the same each time it is asked for.

struct Stored {
  const float* x;
  FDLLM_DEVICE float operator()(std::int64_t i) const { return x[i]; }
};
struct Normed {
  const float* x;
  const float* weight;
  float factor;
  FDLLM_DEVICE float operator()(std::int64_t i) const { return x[i] * factor * weight[i]; }
};
struct Gated {
  const float* gate;
  const float* up;
  FDLLM_DEVICE float operator()(std::int64_t i) const {
    return gate[i] / (1.0f + expf(-gate[i])) * up[i];
  }
};

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

/// The part of a row that a block works on.
struct Part {
  std::int64_t row, begin, end;
  bool is_last;
};
FDLLM_DEVICE Part part_of(std::int64_t columns) {
  const std::int64_t each = gridDim.y == 1 ? columns : kColumns;
  const std::int64_t begin = blockIdx.y * each;
  return {blockIdx.x, begin, begin + each < columns ? begin + each : columns,
          blockIdx.y + 1 == gridDim.y};
}

/// f32 and bf16 operands, and the values themselves where `out` is not nullptr.
template <typename Value, typename Source>
FDLLM_DEVICE void round_floats(const OperandTask& operand, const Part& part, const Source& source,
                               float* out) {
  auto* const to = reinterpret_cast<Value*>(operand.out + part.row * operand.out_stride);
  const auto padded = static_cast<std::int64_t>(operand.out_stride / std::int64_t{sizeof(Value)});
  for (std::int64_t i = part.begin + threadIdx.x; i < part.end; i += kThreads) {
    const float value = source(i);
    if (out != nullptr) out[i] = value;
    if constexpr (sizeof(Value) == sizeof(bf16)) {
      to[i] = to_bf16(value);
    } else {
      to[i] = value;
    }
  }
  if (!part.is_last) return;
  for (std::int64_t i = part.end + threadIdx.x; i < padded; i += kThreads) to[i] = Value{};
}

/// Magnitude bits of the largest value of [begin, end), in all lanes of a warp.
template <typename Source>
FDLLM_DEVICE std::int32_t largest_of(const Source& source, int begin, int end) {
  std::int32_t largest = 0;
  for (int i = begin + static_cast<int>(threadIdx.x) % kWarp; i < end; i += kWarp) {
    const std::int32_t bits = magnitude_bits(source(i));
    largest = bits > largest ? bits : largest;
  }
  return warp_max_int(largest);
}

/// Integers and scales of the scalar CPU kernels. `shared` has kWarps integers, and one for each
/// piece of the row.
template <typename Source>
FDLLM_DEVICE void quantize(const OperandTask& operand, std::int64_t columns, const Part& part,
                           const Source& source, float* out, std::int32_t* shared) {
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp;
  const int lane = thread % kWarp;
  auto* const to = reinterpret_cast<std::int8_t*>(operand.out + part.row * operand.out_stride);
  const int segment = static_cast<int>(operand.segment);
  const int begin = static_cast<int>(part.begin);
  const int end = static_cast<int>(part.end);
  const int piece = segment < kPiece ? segment : kPiece;
  const int pieces = (end - begin + piece - 1) / piece;
  // Of the part's first segment.
  const std::int64_t first = part.row * ((columns + segment - 1) / segment) + begin / segment;
  std::int32_t* const sums = shared + kWarps;

  std::int32_t row_bits = 0;
  if (operand.shared_scale) {  // the part is the row
    for (int i = begin + thread; i < end; i += kThreads) {
      const float value = source(i);
      if (out != nullptr) out[i] = value;
      const std::int32_t bits = magnitude_bits(value);
      row_bits = bits > row_bits ? bits : row_bits;
    }
    row_bits = warp_max_int(row_bits);
    if (lane == 0) shared[warp] = row_bits;
    sync_block();
    for (int i = 0; i < kWarps; ++i) row_bits = shared[i] > row_bits ? shared[i] : row_bits;
  }
  for (int at = warp; at < pieces; at += kWarps) {
    const int from = begin + at * piece;
    const int past = from + piece < end ? from + piece : end;
    const std::int32_t bits = operand.shared_scale ? row_bits : largest_of(source, from, past);
    const float largest = std::bit_cast<float>(bits);
    const bool used = bits < kInfinity && largest >= kSmallestQuantized;
    const float inverse = used ? kActivationSteps / largest : 0.0f;
    std::int32_t sum = 0;
    for (int i = from + lane; i < past; i += kWarp) {
      const float value = source(i);
      if (out != nullptr && !operand.shared_scale) out[i] = value;
      const auto q = static_cast<std::int8_t>(used ? rintf(value * inverse) : 0.0f);
      to[i] = q;
      sum += q;
    }
    sum = warp_sum(sum);
    if (lane != 0) continue;
    sums[at] = sum;
    if (from % segment == 0) {
      const float unused = bits < kInfinity ? 0.0f : std::bit_cast<float>(0x7fc00000);
      operand.scales[first + (from - begin) / segment] = used ? largest / kActivationSteps : unused;
    }
  }
  sync_block();
  const int each = segment / piece;  // pieces of a segment
  for (int i = thread; i * each < pieces; i += kThreads) {
    std::int32_t sum = 0;
    for (int j = i * each; j < (i + 1) * each && j < pieces; ++j) sum += sums[j];
    operand.offsets[first + i] = operand.weight_offset * sum;
  }
  if (!part.is_last) return;
  for (std::int64_t i = columns + thread; i < operand.out_stride; i += kThreads) to[i] = 0;
}

/// Values go to `out` and, rounded as kKind wants, to the operand; f32 ones only where they are no
/// buffer's already.
template <OperandKind kKind, typename Source>
FDLLM_DEVICE void make_ready(const OperandTask& operand, std::int64_t columns, const Part& part,
                             const Source& source, float* out, std::byte* shared) {
  if constexpr (kKind == OperandKind::kInt8) {
    quantize(operand, columns, part, source, out, reinterpret_cast<std::int32_t*>(shared));
  } else if constexpr (kKind == OperandKind::kBF16) {
    round_floats<bf16>(operand, part, source, out);
  } else if (out == nullptr) {
    round_floats<float>(operand, part, source, nullptr);
  } else {
    for (std::int64_t i = part.begin + threadIdx.x; i < part.end; i += kThreads) out[i] = source(i);
  }
}

template <OperandKind kKind>
FDLLM_KERNEL(kThreads)
rms_norm(RmsNormTask task) {
  FDLLM_SHARED_MEMORY(shared);
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  const float* x = task.x + row * task.columns;
  float squares = 0;
  for (std::int64_t i = threadIdx.x; i < task.columns; i += kThreads) {
    squares = multiply_add(x[i], x[i], squares);
  }
  squares = warp_sum(squares);
  auto* const of_warps = reinterpret_cast<float*>(shared);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = squares;
  sync_block();
  float total = 0;
  for (int i = 0; i < kWarps; ++i) total += of_warps[i];
  sync_block();
  const float mean = total / static_cast<float>(task.columns);
  const Normed source{x, task.weight, 1.0f / sqrtf(mean + task.eps)};
  make_ready<kKind>(task.operand, task.columns, part_of(task.columns), source,
                    task.out + row * task.columns, shared);
}

template <OperandKind kKind>
FDLLM_KERNEL(kThreads)
swiglu(SwigluTask task) {
  FDLLM_SHARED_MEMORY(shared);
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  const float* gate = task.gate_up + row * 2 * task.ffn;
  make_ready<kKind>(task.operand, task.ffn, part_of(task.ffn), Gated{gate, gate + task.ffn},
                    task.out + row * task.ffn, shared);
}

template <OperandKind kKind>
FDLLM_KERNEL(kThreads)
prepare(PrepareTask task) {
  FDLLM_SHARED_MEMORY(shared);
  const std::int64_t row = blockIdx.x;
  if (row >= *task.rows.count) return;
  const std::int64_t from = task.index == nullptr ? row : task.index[row];
  make_ready<kKind>(task.operand, task.columns, part_of(task.columns),
                    Stored{task.x + from * task.columns}, nullptr, shared);
}

/// Blocks share a row unless they need to know all of it.
LaunchShape shape_of(const Rows& rows, std::int64_t columns, const OperandTask& operand,
                     bool is_whole) {
  const bool is_integer = operand.kind == OperandKind::kInt8 || operand.kind == OperandKind::kInt4;
  is_whole = is_whole || (is_integer && operand.shared_scale);
  LaunchShape shape{.x = rows.most,
                    .y = is_whole ? 1 : (columns + kColumns - 1) / kColumns,
                    .threads = kThreads,
                    .shared_bytes = kWarpBytes};
  if (is_integer) {
    const std::int64_t piece = std::min<std::int64_t>(operand.segment, kPiece);
    const std::int64_t of_block = is_whole ? columns : kColumns;
    shape.shared_bytes +=
        static_cast<std::size_t>((of_block + piece - 1) / piece) * sizeof(std::int32_t);
  }
  return shape;
}

template <typename Task>
void launch_kind(Stream stream, const LaunchShape& shape, const Task& task, void (*in_f32)(Task),
                 void (*in_bf16)(Task), void (*in_int8)(Task)) {
  switch (task.operand.kind) {
    case OperandKind::kF32:
      return launch(stream, shape, in_f32, task);
    case OperandKind::kBF16:
      return launch(stream, shape, in_bf16, task);
    case OperandKind::kInt8:
    case OperandKind::kInt4:
      return launch(stream, shape, in_int8, task);
  }
}

}  // namespace

void run_rms_norm(Stream stream, const RmsNormTask& task) {
  launch_kind(stream, shape_of(task.rows, task.columns, task.operand, true), task,
              rms_norm<OperandKind::kF32>, rms_norm<OperandKind::kBF16>,
              rms_norm<OperandKind::kInt8>);
}

void run_swiglu(Stream stream, const SwigluTask& task) {
  launch_kind(stream, shape_of(task.rows, task.ffn, task.operand, false), task,
              swiglu<OperandKind::kF32>, swiglu<OperandKind::kBF16>, swiglu<OperandKind::kInt8>);
}

void run_prepare(Stream stream, const PrepareTask& task) {
  launch_kind(stream, shape_of(task.rows, task.columns, task.operand, false), task,
              prepare<OperandKind::kF32>, prepare<OperandKind::kBF16>, prepare<OperandKind::kInt8>);
}

}  // namespace fdllm::cuda
