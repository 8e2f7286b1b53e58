#pragma once
#include <cstdint>
#include <span>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/packed_matrix.h"
#include "base/thread_pool.h"

namespace fdllm::cpu {

/// Rows that are packed together: weights are read once from memory for each such block, and one
/// block of K of all its activations stays in the level 2 cache.
inline constexpr std::int64_t kBlockRows = 192;

/// Bytes of a panel that the first row tile prefetches ahead; the other tiles find them in the
/// cache.
inline constexpr std::ptrdiff_t kPrefetchAhead = 2048;

/// Panels [begin, end) of a matrix.
struct PanelRange {
  std::int64_t begin, end;
};

/// At most kBlockRows rows of activations, packed for the tile kernels of one weight format: row
/// tiles of nearly equal height one after another, each [K][rows of the tile].
class PackedRows {
 public:
  /// Allocates for `rows` rows (<= kBlockRows) of `columns` values.
  void resize(const GemmKernels& kernels, std::int64_t rows, std::int64_t columns);
  /// Packing consists of so many independent items.
  std::int64_t pack_items() const { return tiles_ * slices(); }
  /// row_of(i) gives the i-th row's values.
  template <typename RowOf>
  void pack(std::int64_t item, RowOf&& row_of) noexcept {
    const std::int64_t tile = item / slices();
    const std::int64_t k = item % slices() * slice();
    const float* rows[kMaxTileRows];
    const int count = tile_rows(tile);
    for (int i = 0; i < count; ++i) rows[i] = row_of(first_row(tile) + i) + k;
    const std::int64_t values = columns_ - k < slice() ? columns_ - k : slice();
    if (is_integer()) {
      kernels_->quantize_rows({.rows = rows,
                               .count = count,
                               .values = values,
                               .out = tile_data(tile, k),
                               .scales = tile_scales(tile, k),
                               .offsets = tile_offsets(tile, k)});
    } else {
      kernels_->pack_rows(rows, count, values, tile_data(tile, k));
    }
  }

  std::int64_t rows() const { return rows_; }
  /// out (+)= A W^T for the panels of W; out is row 0's first column of the first panel.
  void multiply(const PackedMatrix& weight, PanelRange panels, float* out,
                std::ptrdiff_t out_stride, bool add) const noexcept;

 private:
  /// Values of K that one packing task takes: whole segments, of int8 all.
  static constexpr std::int64_t kSlice = 1024;
  std::int64_t slice() const { return kernels_->shared_scale ? columns_ : kSlice; }

  bool is_integer() const { return kernels_->segment > 0; }
  std::int64_t slices() const { return (columns_ + slice() - 1) / slice(); }
  std::int64_t first_row(std::int64_t tile) const { return tile * rows_ / tiles_; }
  int tile_rows(std::int64_t tile) const {
    return static_cast<int>(first_row(tile + 1) - first_row(tile));
  }
  std::byte* tile_data(std::int64_t tile, std::int64_t k) const {
    return memory_.data() + (first_row(tile) * steps_ + k * tile_rows(tile)) *
                                static_cast<std::int64_t>(kernels_->activation_bytes);
  }

  /// Where the values of a tile's segments are, from the one that begins at k on.
  std::int64_t segment_index(std::int64_t tile, std::int64_t k) const {
    return first_row(tile) * segments_ + k / kernels_->segment * tile_rows(tile);
  }
  float* tile_scales(std::int64_t tile, std::int64_t k) const {
    return scales_.as<float>() + segment_index(tile, k);
  }
  std::int32_t* tile_offsets(std::int64_t tile, std::int64_t k) const {
    return offsets_.as<std::int32_t>() + segment_index(tile, k);
  }
  void multiply_block(GemmTile& tile, const PackedMatrix& weight, std::int64_t panel,
                      std::int64_t k) const noexcept;

  const GemmKernels* kernels_ = nullptr;
  std::int64_t rows_ = 0, columns_ = 0, steps_ = 0, tiles_ = 0, segments_ = 0;
  HostMemory memory_;
  HostMemory scales_, offsets_;  ///< of integer formats: [tile][segment][rows of the tile]
};

/// Threads that a task of so many multiply-adds is worth sharing among.
int parts_for(const ThreadPool& pool, double multiply_adds);

/// y (+)= x W^T + bias for `rows` rows of x [rows, in], y [rows, out].
struct Product {
  const PackedMatrix& weight;
  const float* x;
  std::int64_t rows;
  float* y;
  bool add = false;
};
void run_gemm(ThreadPool& pool, PackedRows& scratch, const Product& product);

}  // namespace fdllm::cpu
