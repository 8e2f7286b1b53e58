// The product on matrix units, for bf16 and the integer formats: tiles of both operands stream
// through shared memory, some stages ahead of their use.
//
// In 32-bit words the fragments of m16n8k16 (bf16) and m16n8k32 (int8) lie at the same places: a
// step of K is 8 words, of which lane 4 i + j of a warp holds words j and j + 4 of rows (columns)
// i. Rows in shared memory are 4 words longer than a tile, so that a warp's reads hit 32 banks.
#pragma once
#include <cmath>
#include <type_traits>

#include "backend/cuda/launch.h"
#include "backend/cuda/products.h"

namespace fdllm::cuda {

/// Of K in one tile of activations.
inline constexpr int kTileWords = 32;
inline constexpr int kTileBytes = 4 * kTileWords;
inline constexpr int kStepWords = 8;
inline constexpr int kTileSteps = kTileWords / kStepWords;
inline constexpr int kRowPadding = 4;

/// kBits: 16 is bf16, 8 and 4 are integers whose segments have kSegment values.
template <int kBits, int kSegment = 0>
struct ProductFormat {
  static constexpr bool kIsInteger = kBits < 16;
  static constexpr int kWeightBits = kBits;
  static constexpr int kWeightWords = kBits == 4 ? kTileWords / 2 : kTileWords;
  static constexpr int kSegmentSteps = kSegment / 32;
  using Sum = std::conditional_t<kIsInteger, std::int32_t, float>;
};

template <int kWarpsM_, int kWarpsN_, int kTilesM_, int kTilesN_, int kStages_>
struct ProductShape {
  static constexpr int kWarpsM = kWarpsM_, kWarpsN = kWarpsN_;  ///< warps of a block
  static constexpr int kTilesM = kTilesM_, kTilesN = kTilesN_;  ///< 16 x 8 tiles of a warp
  static constexpr int kStages = kStages_;
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN;
  static constexpr int kRows = 16 * kTilesM * kWarpsM;
  static constexpr int kColumns = 8 * kTilesN * kWarpsN;
  static constexpr int kLaneSums = 4 * kTilesM * kTilesN;
};

template <typename Format, typename Shape>
struct ProductStage {
  static constexpr int kAStride = kTileWords + kRowPadding;
  static constexpr int kWStride = Format::kWeightWords + kRowPadding;
  static constexpr int kWords = Shape::kRows * kAStride + Shape::kColumns * kWStride;
};

/// Starts copying `count` rows' part of a tile; what lies outside is zero.
template <int kRows, int kWords, int kThreads>
FDLLM_DEVICE void copy_tile(const std::byte* from, std::int64_t stride, std::int64_t first_row,
                            std::int64_t rows, std::int64_t first_byte, std::uint32_t* to) {
  constexpr int kChunks = kWords / 4;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunks; i += kThreads) {
    const int row = i / kChunks;
    const int chunk = i % kChunks;
    const std::int64_t byte = first_byte + chunk * 16;
    const bool inside = first_row + row < rows && byte < stride;
    copy_async_16(to + row * (kWords + kRowPadding) + chunk * 4,
                  inside ? from + (first_row + row) * stride + byte : from, inside);
  }
}

/// A column's fragment of one step, as the matrix units want it.
template <typename Format>
FDLLM_DEVICE void load_weights(const std::uint32_t* row, int word, std::uint32_t (&b)[2]) {
  if constexpr (Format::kWeightBits == 4) {
    const int shift = word % 2 * 4;
    b[0] = (row[word / 2] >> shift) & 0x0f0f0f0fu;
    b[1] = (row[word / 2 + 2] >> shift) & 0x0f0f0f0fu;
  } else {
    b[0] = row[word];
    b[1] = row[word + 4];
  }
}

template <typename Format, typename Shape>
FDLLM_KERNEL(Shape::kThreads)
multiply_tiles(ProductTask task) {
  using Stage = ProductStage<Format, Shape>;
  constexpr int kM = Shape::kTilesM;
  constexpr int kN = Shape::kTilesN;
  FDLLM_SHARED_MEMORY(shared);
  auto* const words = reinterpret_cast<std::uint32_t*>(shared);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int group = static_cast<int>(threadIdx.x) % kWarp / 4;
  const int quad = static_cast<int>(threadIdx.x) % 4;
  const std::int64_t first_row = std::int64_t{blockIdx.x} * Shape::kRows;
  const std::int64_t first_column = std::int64_t{blockIdx.y} * Shape::kColumns;
  const std::int64_t rows = *task.rows.count;
  if (first_row >= rows) return;
  const int warp_row = warp / Shape::kWarpsN * 16 * kM;
  const int warp_column = warp % Shape::kWarpsN * 8 * kN;
  const auto part_tiles = static_cast<int>(task.part_bytes / kTileBytes);
  const auto all_tiles = static_cast<int>((task.a_stride + kTileBytes - 1) / kTileBytes);
  const bool is_split = task.partials != nullptr;
  const int first_tile = is_split ? static_cast<int>(blockIdx.z) * part_tiles : 0;
  const int end_tile =
      is_split && all_tiles - first_tile > part_tiles ? first_tile + part_tiles : all_tiles;

  const auto copy_stage = [&](int tile) {
    std::uint32_t* const a = words + tile % Shape::kStages * Stage::kWords;
    copy_tile<Shape::kRows, kTileWords, Shape::kThreads>(task.a, task.a_stride, first_row, rows,
                                                         std::int64_t{tile} * kTileBytes, a);
    copy_tile<Shape::kColumns, Format::kWeightWords, Shape::kThreads>(
        task.w, task.w_stride, first_column, task.columns,
        std::int64_t{tile} * Format::kWeightWords * 4, a + Shape::kRows * Stage::kAStride);
  };
  // Row `half` of tile m and column `odd` of tile n that this lane holds.
  const auto row_of = [&](int m, int half) {
    return first_row + warp_row + 16 * m + 8 * half + group;
  };
  const auto column_of = [&](int n, int odd) {
    return first_column + warp_column + 8 * n + 2 * quad + odd;
  };

  typename Format::Sum sums[kM][kN][4] = {};
  float scaled_sums[kM][kN][4] = {};  // integer formats: of the part

  // Adds the scaled sums of a segment to the part's.
  const auto close_segment = [&](std::int64_t segment) {
    if constexpr (Format::kIsInteger) {
      float row_scales[kM][2];
      std::int32_t row_offsets[kM][2];
      FDLLM_UNROLL
      for (int m = 0; m < kM; ++m) {
        FDLLM_UNROLL
        for (int half = 0; half < 2; ++half) {
          const std::int64_t row = row_of(m, half);
          const bool inside = row < rows;
          row_scales[m][half] = inside ? task.a_scales[row * task.segments + segment] : 0.0f;
          row_offsets[m][half] = inside ? task.a_offsets[row * task.segments + segment] : 0;
        }
      }
      FDLLM_UNROLL
      for (int n = 0; n < kN; ++n) {
        FDLLM_UNROLL
        for (int odd = 0; odd < 2; ++odd) {
          const std::int64_t column = column_of(n, odd);
          const float scale =
              column < task.columns ? task.w_scales[column * task.segments + segment] : 0.0f;
          FDLLM_UNROLL
          for (int m = 0; m < kM; ++m) {
            FDLLM_UNROLL
            for (int half = 0; half < 2; ++half) {
              const int i = 2 * half + odd;
              const float scaled = static_cast<float>(sums[m][n][i] - row_offsets[m][half]) * scale;
              scaled_sums[m][n][i] = fmaf(scaled, row_scales[m][half], scaled_sums[m][n][i]);
              sums[m][n][i] = 0;
            }
          }
        }
      }
    }
  };
  // Sum i of the lane in its part of the output.
  const auto part_sum = [&](int i) -> float& {
    if constexpr (Format::kIsInteger) {
      return scaled_sums[i / 4 / kN][i / 4 % kN][i % 4];
    } else {
      return sums[i / 4 / kN][i / 4 % kN][i % 4];
    }
  };
  // The first part brings the bias, and what was there if it is added to.
  const auto add_part = [&](bool is_first, int i, float sum) {
    const std::int64_t row = row_of(i / 4 / kN, i % 4 / 2);
    const std::int64_t column = column_of(i / 4 % kN, i % 2);
    if (row >= rows || column >= task.columns) return;
    float* const out = task.out + row * task.out_stride + column;
    if (is_first && task.bias != nullptr) sum += task.bias[column];
    *out = is_first && !task.add ? sum : *out + sum;
  };

  for (int tile = first_tile; tile < first_tile + Shape::kStages - 1; ++tile) {
    if (tile < end_tile) copy_stage(tile);
    commit_copies();
  }
  for (int tile = first_tile; tile < end_tile; ++tile) {
    wait_copies<Shape::kStages - 2>();
    sync_block();  // the tile is there, and nobody reads the stage that is filled next
    if (tile + Shape::kStages - 1 < end_tile) copy_stage(tile + Shape::kStages - 1);
    commit_copies();
    const std::uint32_t* const a = words + tile % Shape::kStages * Stage::kWords;
    const std::uint32_t* const w = a + Shape::kRows * Stage::kAStride;
    FDLLM_UNROLL
    for (int step = 0; step < kTileSteps; ++step) {
      const int word = step * kStepWords + quad;
      std::uint32_t fragments[kM][4];
      FDLLM_UNROLL
      for (int m = 0; m < kM; ++m) {
        const std::uint32_t* row = a + (warp_row + 16 * m + group) * Stage::kAStride + word;
        fragments[m][0] = row[0];
        fragments[m][1] = row[8 * Stage::kAStride];
        fragments[m][2] = row[4];
        fragments[m][3] = row[8 * Stage::kAStride + 4];
      }
      FDLLM_UNROLL
      for (int n = 0; n < kN; ++n) {
        std::uint32_t b[2];
        load_weights<Format>(w + (warp_column + 8 * n + group) * Stage::kWStride, word, b);
        FDLLM_UNROLL
        for (int m = 0; m < kM; ++m) {
          if constexpr (Format::kIsInteger) {
            multiply_int8(sums[m][n], fragments[m], b);
          } else {
            multiply_bf16(sums[m][n], fragments[m], b);
          }
        }
      }
      if constexpr (Format::kIsInteger) {
        const int steps = tile * kTileSteps + step + 1;
        if (steps % Format::kSegmentSteps == 0 && steps / Format::kSegmentSteps <= task.segments) {
          close_segment(steps / Format::kSegmentSteps - 1);
        }
      }
    }
    if constexpr (Format::kIsInteger) {
      if (tile + 1 == all_tiles &&
          std::int64_t{all_tiles} * kTileSteps / Format::kSegmentSteps < task.segments) {
        close_segment(task.segments - 1);
      }
    }
    if (!is_split && ((tile + 1) % part_tiles == 0 || tile + 1 == all_tiles)) {
      FDLLM_UNROLL
      for (int i = 0; i < Shape::kLaneSums; ++i) {
        add_part(tile < part_tiles, i, part_sum(i));
        part_sum(i) = 0;
      }
    }
  }
  if (!is_split) return;

  // The last block that finishes adds the parts; each lane's sums are a column of memory.
  constexpr int kPartSize = Shape::kLaneSums * Shape::kThreads;
  const std::int64_t at = std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x;
  const auto parts = static_cast<int>(gridDim.z);
  float* const partials = task.partials + at * parts * kPartSize + threadIdx.x;
  FDLLM_UNROLL
  for (int i = 0; i < Shape::kLaneSums; ++i) {
    partials[blockIdx.z * kPartSize + i * Shape::kThreads] = part_sum(i);
  }
  if (!is_last_block(task.counters + at, parts, reinterpret_cast<std::int32_t*>(shared))) return;
  for (int part = 0; part < parts; ++part) {
    FDLLM_UNROLL
    for (int i = 0; i < Shape::kLaneSums; ++i) {
      add_part(part == 0, i,
               load_shared_by_blocks(partials + part * kPartSize + i * Shape::kThreads));
    }
  }
}

inline std::int64_t parts_of(const ProductTask& task) {
  return (task.a_stride + task.part_bytes - 1) / task.part_bytes;
}

/// Blocks of a product that fill a large GPU: twice where weights are read for few rows, which
/// wants many reads under way.
template <typename Shape>
constexpr std::int64_t kEnoughBlocks = Shape::kRows <= 32 ? 256 : 128;

template <typename Shape>
ProductRoom room_of(const ProductTask& task) {
  const std::int64_t blocks = (task.rows.most + Shape::kRows - 1) / Shape::kRows *
                              ((task.columns + Shape::kColumns - 1) / Shape::kColumns);
  const std::int64_t parts = parts_of(task);
  if (parts == 1 || blocks >= kEnoughBlocks<Shape>) return {};
  return {.partial_bytes = static_cast<std::size_t>(blocks * parts) * Shape::kLaneSums *
                           Shape::kThreads * sizeof(float),
          .counters = static_cast<std::size_t>(blocks)};
}

template <typename Format, typename Shape>
void launch_tiles(Stream stream, const ProductTask& task) {
  launch(stream,
         {.x = (task.rows.most + Shape::kRows - 1) / Shape::kRows,
          .y = (task.columns + Shape::kColumns - 1) / Shape::kColumns,
          .z = task.partials == nullptr ? 1 : parts_of(task),
          .threads = Shape::kThreads,
          .shared_bytes = std::size_t{Shape::kStages} * ProductStage<Format, Shape>::kWords * 4},
         multiply_tiles<Format, Shape>, task);
}

/// A cached step of one request: weights stream through small tiles, four stages deep.
using FewRows = ProductShape<1, 4, 1, 2, 4>;
using SomeRows = ProductShape<1, 4, 2, 2, 4>;

/// `use` gets the ProductShape for the task's rows.
template <typename ManyRows, typename Use>
void with_shape(const ProductTask& task, const Use& use) {
  if (task.rows.most <= FewRows::kRows) {
    use(FewRows{});
  } else if (task.rows.most <= 2 * SomeRows::kRows) {
    use(SomeRows{});
  } else {
    use(ManyRows{});
  }
}

}  // namespace fdllm::cuda
