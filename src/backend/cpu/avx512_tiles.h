// The AVX-512 tables' tiles: f32 up to 12 rows by 2 panels, 24 accumulators of the 32 registers;
// bf16 up to 16 rows by 1 panel, so that a block of 32 rows is two even tiles.
// Included by the AVX-512 kernel files only.
#pragma once
#include "backend/cpu/simd_avx512.h"
// (gemm_kernels.h and row_kernels.h are written over the Simd of the line above.)
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/row_kernels.h"

namespace fdllm::cpu {
namespace {

using Tile = void (*)(const GemmTile& tile);

constexpr Tile kTilesF32[2][12] = {
    {tile_f32<1, 1>, tile_f32<2, 1>, tile_f32<3, 1>, tile_f32<4, 1>, tile_f32<5, 1>, tile_f32<6, 1>,
     tile_f32<7, 1>, tile_f32<8, 1>, tile_f32<9, 1>, tile_f32<10, 1>, tile_f32<11, 1>,
     tile_f32<12, 1>},
    {tile_f32<1, 2>, tile_f32<2, 2>, tile_f32<3, 2>, tile_f32<4, 2>, tile_f32<5, 2>, tile_f32<6, 2>,
     tile_f32<7, 2>, tile_f32<8, 2>, tile_f32<9, 2>, tile_f32<10, 2>, tile_f32<11, 2>,
     tile_f32<12, 2>}};

constexpr Tile kTilesBf16[16] = {
    tile_bf16<1, 1>,  tile_bf16<2, 1>,  tile_bf16<3, 1>,  tile_bf16<4, 1>,
    tile_bf16<5, 1>,  tile_bf16<6, 1>,  tile_bf16<7, 1>,  tile_bf16<8, 1>,
    tile_bf16<9, 1>,  tile_bf16<10, 1>, tile_bf16<11, 1>, tile_bf16<12, 1>,
    tile_bf16<13, 1>, tile_bf16<14, 1>, tile_bf16<15, 1>, tile_bf16<16, 1>};

inline void any_tile_f32(const GemmTile& tile) {
  kTilesF32[tile.columns > kPanelColumns ? 1 : 0][tile.rows - 1](tile);
}

inline void any_tile_bf16(const GemmTile& tile) {
  kTilesBf16[tile.rows - 1](tile);
}

constexpr GemmKernels kGemmF32 = {.max_rows = 12,
                                  .max_panels = 2,
                                  .weight_bits = 32,
                                  .activation_bytes = 4,
                                  .step_multiple = 1,
                                  .k_block = 512,
                                  .pack_rows = pack_rows_f32,
                                  .tile = any_tile_f32};

}  // namespace
}  // namespace fdllm::cpu
