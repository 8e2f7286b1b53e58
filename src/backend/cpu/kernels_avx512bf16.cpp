// Kernels for AVX-512 with bf16 dot products (Zen 4, Cooper Lake, Sapphire Rapids and later).
#include "backend/cpu/avx512_tiles.h"
#include "backend/cpu/integer_tiles_avx512.h"

namespace fdllm::cpu {
namespace {

constexpr GemmKernels kGemmBf16 = {.max_rows = 16,
                                   .max_panels = 1,
                                   .weight_bits = 16,
                                   .activation_bytes = 2,
                                   .step_multiple = 2,
                                   .k_block = 1024,
                                   .pack_rows = pack_rows_bf16,
                                   .tile = any_tile_bf16};

constexpr KernelTable kTable = vector_table("avx512bf16", kGemmF32, kGemmBf16, kIntegerKernels);

}  // namespace

const KernelTable& avx512bf16_kernels() {
  return kTable;
}

}  // namespace fdllm::cpu
