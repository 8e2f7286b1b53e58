#include "backend/cpu/gemm.h"

#include <algorithm>

namespace fdllm::cpu {
namespace {

/// Multiply-adds that pay for waking one more thread: about 2 microseconds of f32 work.
constexpr double kShareableWork = 100e3;
/// Panels that a thread takes at a time, at most.
constexpr std::int64_t kMaxChunkPanels = 16;

}  // namespace

int parts_for(const ThreadPool& pool, double multiply_adds) {
  return static_cast<int>(std::clamp(multiply_adds / kShareableWork, 1.0, double(pool.size())));
}

void PackedRows::resize(const GemmKernels& kernels, std::int64_t rows, std::int64_t columns) {
  kernels_ = &kernels;
  rows_ = rows;
  columns_ = columns;
  steps_ = kernels.weight_bytes == 2 ? columns + columns % 2 : columns;
  tiles_ = (rows + kernels.max_rows - 1) / kernels.max_rows;
  memory_.reserve(static_cast<std::size_t>(rows * steps_) * kernels.activation_bytes,
                  "packed activations");
}

void PackedRows::multiply(const PackedMatrix& weight, std::int64_t first_panel,
                          std::int64_t last_panel, float* out, std::ptrdiff_t out_stride,
                          bool add) const noexcept {
  GemmTile tile{};
  tile.panel_stride = weight.panel_stride();
  tile.out_stride = out_stride;
  const std::int64_t columns =
      std::min(weight.out_features(), last_panel * kPanelColumns) - first_panel * kPanelColumns;
  for (std::int64_t k = 0; k < steps_; k += kernels_->k_block) {
    tile.steps = std::min(kernels_->k_block, steps_ - k);
    tile.add = add || k > 0 ? 1 : 0;
    for (std::int64_t panel = first_panel; panel < last_panel; panel += kernels_->max_panels) {
      const std::int64_t column = (panel - first_panel) * kPanelColumns;
      const std::int64_t width =
          std::min<std::int64_t>(kernels_->max_panels, last_panel - panel) * kPanelColumns;
      tile.columns = static_cast<int>(std::min(width, columns - column));
      tile.w = weight.panel(panel) +
               k * kPanelColumns * static_cast<std::int64_t>(kernels_->weight_bytes);
      tile.bias = k == 0 ? weight.bias(panel) : nullptr;
      for (std::int64_t i = 0; i < tiles_; ++i) {
        tile.a = tile_data(i, k);
        tile.rows = tile_rows(i);
        tile.out = out + first_row(i) * out_stride + column;
        kernels_->tile(tile);
      }
    }
  }
}

void run_gemm(ThreadPool& pool, const GemmKernels& kernels, PackedRows& scratch,
              const PackedMatrix& weight, const float* x, std::int64_t rows, float* y, bool add) {
  const std::int64_t in = weight.in_features();
  const std::int64_t out = weight.out_features();
  for (std::int64_t begin = 0; begin < rows; begin += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, rows - begin);
    scratch.resize(kernels, count, in);
    const int parts = parts_for(pool, double(count) * double(in) * double(out));
    // Whole tiles of panels, about four chunks a thread so that a delayed thread holds up little.
    const std::int64_t share = weight.panels() / (std::int64_t{4} * parts);
    const std::int64_t chunk = std::clamp(share / kMaxTilePanels * kMaxTilePanels,
                                          std::int64_t{kMaxTilePanels}, kMaxChunkPanels);
    const float* block = x + begin * in;
    const auto pack = [&](std::int64_t item, int) noexcept {
      scratch.pack(item, [&](std::int64_t row) { return block + row * in; });
    };
    const auto multiply = [&](std::int64_t item, int) noexcept {
      const std::int64_t panel = item * chunk;
      scratch.multiply(weight, panel, std::min(panel + chunk, weight.panels()),
                       y + begin * out + panel * kPanelColumns, out, add);
    };
    pool.run(parts, {Phase(scratch.pack_items(), pack),
                     Phase((weight.panels() + chunk - 1) / chunk, multiply)});
  }
}

}  // namespace fdllm::cpu
