// The product of f32 operands: fused multiply-adds, since the matrix units would round them.
#include "backend/cuda/launch.h"
#include "backend/cuda/products.h"

namespace fdllm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 32;
constexpr int kColumns = 64;
constexpr int kSteps = 32;
constexpr int kStride = kSteps + 1;  // keeps rows out of each other's banks
constexpr int kEach = 4;             // rows and columns of a thread

FDLLM_KERNEL(kThreads) multiply_f32(ProductTask task) {
  FDLLM_SHARED_MEMORY(shared);
  auto* const a = reinterpret_cast<float*>(shared);
  float* const w = a + kRows * kStride;
  const std::int64_t first_row = std::int64_t{blockIdx.x} * kRows;
  const std::int64_t first_column = std::int64_t{blockIdx.y} * kColumns;
  const std::int64_t rows = *task.rows.count;
  if (first_row >= rows) return;
  const int thread_row = static_cast<int>(threadIdx.x) / 16 * kEach;
  const int thread_column = static_cast<int>(threadIdx.x) % 16;
  float sums[kEach][kEach] = {};
  for (std::int64_t k = 0; k < task.values; k += kSteps) {
    for (int i = static_cast<int>(threadIdx.x); i < (kRows + kColumns) * kSteps; i += kThreads) {
      const bool is_a = i < kRows * kSteps;
      const int at = is_a ? i : i - kRows * kSteps;
      const std::int64_t row = (is_a ? first_row : first_column) + at / kSteps;
      const std::int64_t step = k + at % kSteps;
      const bool inside = row < (is_a ? rows : task.columns) && step < task.values;
      const std::byte* from = is_a ? task.a + row * task.a_stride : task.w + row * task.w_stride;
      (is_a ? a : w)[at / kSteps * kStride + at % kSteps] =
          inside ? reinterpret_cast<const float*>(from)[step] : 0.0f;
    }
    sync_block();
    for (int step = 0; step < kSteps; ++step) {
      FDLLM_UNROLL
      for (int i = 0; i < kEach; ++i) {
        FDLLM_UNROLL
        for (int j = 0; j < kEach; ++j) {
          sums[i][j] = multiply_add(a[(thread_row + i) * kStride + step],
                                    w[(thread_column + 16 * j) * kStride + step], sums[i][j]);
        }
      }
    }
    sync_block();
  }
  FDLLM_UNROLL
  for (int i = 0; i < kEach; ++i) {
    FDLLM_UNROLL
    for (int j = 0; j < kEach; ++j) {
      const std::int64_t row = first_row + thread_row + i;
      const std::int64_t column = first_column + thread_column + 16 * j;
      if (row >= rows || column >= task.columns) continue;
      float* const out = task.out + row * task.out_stride + column;
      const float value = sums[i][j] + (task.bias != nullptr ? task.bias[column] : 0.0f);
      *out = task.add ? *out + value : value;
    }
  }
}

}  // namespace

void run_product_f32(Stream stream, const ProductTask& task) {
  launch(stream,
         {.x = (task.rows.most + kRows - 1) / kRows,
          .y = (task.columns + kColumns - 1) / kColumns,
          .threads = kThreads,
          .shared_bytes = (kRows + kColumns) * kStride * sizeof(float)},
         multiply_f32, task);
}

ProductRoom product_room(OperandKind kind, const ProductTask& task) {
  switch (kind) {
    case OperandKind::kF32:
      break;
    case OperandKind::kBF16:
      return product_room_bf16(task);
    case OperandKind::kInt8:
    case OperandKind::kInt4:
      return product_room_integer(task);
  }
  return {};
}

void run_product(Stream stream, OperandKind kind, std::int64_t segment, const ProductTask& task) {
  switch (kind) {
    case OperandKind::kF32:
      return run_product_f32(stream, task);
    case OperandKind::kBF16:
      return run_product_bf16(stream, task);
    case OperandKind::kInt8:
      return run_product_integer(stream, 8, segment, task);
    case OperandKind::kInt4:
      return run_product_integer(stream, 4, segment, task);
  }
}

}  // namespace fdllm::cuda
