// The integer formats as every table has them: one list, over what an instruction set brings. Its
// kernel files include this after their own kernels and pass a type of their anonymous namespace,
// so that nothing here is shared between instruction sets.
#pragma once
#include <cstdint>

#include "backend/cpu/kernels.h"

namespace fdllm::cpu {

/// `Set` has kMaxRows, kInt8Offset (what is added to int8 weights) and the function pointers
/// kTile<segment, bits>, kQuantizeRows<segment, shared scale, step multiple, weight offset> and
/// kQuantizeWeights<bits>.
template <typename Set, std::int64_t kSegment, int kBits, bool kSharedScale = false>
constexpr GemmKernels integer_gemm() {
  constexpr int kMultiple = 32 / kBits;
  constexpr int kOffset = kBits == 8 ? Set::kInt8Offset : 8;
  return {.max_rows = Set::kMaxRows,
          .max_panels = 1,
          .weight_bits = kBits,
          .activation_bytes = 1,
          .step_multiple = kMultiple,
          .k_block = kIntegerBlock,
          .pack_rows = nullptr,
          .tile = Set::template kTile<kSegment, kBits>,
          .segment = kSegment,
          .shared_scale = kSharedScale,
          .weight_offset = kOffset,
          .quantize_rows = Set::template kQuantizeRows<kSegment, kSharedScale, kMultiple, kOffset>,
          .quantize_weights = Set::template kQuantizeWeights<kBits>};
}

template <typename Set>
constexpr IntegerKernels integer_formats() {
  return {.int8 = integer_gemm<Set, kChannelSegment, 8, true>(),
          .int8_g128 = integer_gemm<Set, 128, 8>(),
          .int8_g32 = integer_gemm<Set, 32, 8>(),
          .int4 = integer_gemm<Set, 128, 4>(),
          .int4_g32 = integer_gemm<Set, 32, 4>()};
}

}  // namespace fdllm::cpu
