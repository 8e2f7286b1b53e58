// Kernels for AVX2 with FMA: tiles of up to 6 rows by 1 panel, 12 accumulators of 16 registers.
#include "backend/cpu/simd_avx2.h"
// (gemm_kernels.h and row_kernels.h are written over the Simd of the line above.)
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/integer_tiles_avx2.h"
#include "backend/cpu/row_kernels.h"

namespace fdllm::cpu {
namespace {

using Tile = void (*)(const GemmTile& tile);

constexpr Tile kTilesF32[6] = {tile_f32<1, 1>, tile_f32<2, 1>, tile_f32<3, 1>,
                               tile_f32<4, 1>, tile_f32<5, 1>, tile_f32<6, 1>};
constexpr Tile kTilesBf16[6] = {tile_bf16<1, 1>, tile_bf16<2, 1>, tile_bf16<3, 1>,
                                tile_bf16<4, 1>, tile_bf16<5, 1>, tile_bf16<6, 1>};

void any_tile_f32(const GemmTile& tile) {
  kTilesF32[tile.rows - 1](tile);
}
void any_tile_bf16(const GemmTile& tile) {
  kTilesBf16[tile.rows - 1](tile);
}

constexpr GemmKernels kGemmF32 = {.max_rows = 6,
                                  .max_panels = 1,
                                  .weight_bits = 32,
                                  .activation_bytes = 4,
                                  .step_multiple = 1,
                                  .k_block = 512,
                                  .pack_rows = pack_rows_f32,
                                  .tile = any_tile_f32};
constexpr GemmKernels kGemmBf16 = {.max_rows = 6,
                                   .max_panels = 1,
                                   .weight_bits = 16,
                                   .activation_bytes = 4,
                                   .step_multiple = 2,
                                   .k_block = 512,
                                   .pack_rows = pack_rows_bf16,
                                   .tile = any_tile_bf16};

constexpr KernelTable kTable = vector_table("avx2", kGemmF32, kGemmBf16, kIntegerKernels);

}  // namespace

const KernelTable& avx2_kernels() {
  return kTable;
}

}  // namespace fdllm::cpu
