#include "backend/cpu/gemm.h"

#include <algorithm>

#include "base/round_up.h"

namespace fdllm::cpu {
namespace {

/// Multiply-adds that pay for waking one more thread: about 2 microseconds of f32 work.
constexpr double kShareableWork = 100e3;
/// Panels that a thread takes at a time, at most.
constexpr std::int64_t kMaxChunkPanels = 16;
/// Bytes of activations that stay in the level 2 cache.
constexpr std::int64_t kCachedActivations = std::int64_t{400} * 1024;

}  // namespace

int parts_for(const ThreadPool& pool, double multiply_adds) {
  return static_cast<int>(std::clamp(multiply_adds / kShareableWork, 1.0, double(pool.size())));
}

void PackedRows::resize(const GemmKernels& kernels, std::int64_t rows, std::int64_t columns) {
  kernels_ = &kernels;
  rows_ = rows;
  columns_ = columns;
  steps_ = round_up<std::int64_t>(columns, kernels.step_multiple);
  tiles_ = (rows + kernels.max_rows - 1) / kernels.max_rows;
  memory_.reserve(static_cast<std::size_t>(rows * steps_) * kernels.activation_bytes,
                  "packed activations");
  if (!is_integer()) return;
  segments_ = (columns + kernels.segment - 1) / kernels.segment;
  const auto bytes = static_cast<std::size_t>(rows * segments_) * sizeof(float);
  scales_.reserve(bytes, "activation scales");
  offsets_.reserve(bytes, "activation sums");
}

void PackedRows::multiply(const PackedMatrix& weight, PanelRange panels, float* out,
                          std::ptrdiff_t out_stride, bool add) const noexcept {
  GemmTile tile{};
  tile.panel_stride = weight.panel_stride();
  tile.out_stride = out_stride;
  const std::int64_t columns =
      std::min(weight.out_features(), panels.end * kPanelColumns) - panels.begin * kPanelColumns;
  const auto multiply_panels = [&](std::int64_t panel, std::int64_t k) noexcept {
    const std::int64_t column = (panel - panels.begin) * kPanelColumns;
    const std::int64_t width =
        std::min<std::int64_t>(kernels_->max_panels, panels.end - panel) * kPanelColumns;
    tile.columns = static_cast<int>(std::min(width, columns - column));
    tile.out = out + column;
    tile.add = add || k > 0 ? 1 : 0;
    multiply_block(tile, weight, panel, k);
  };
  // Every output adds up its blocks of K in the same order whatever the span is. The longer it is,
  // the longer each panel is read from one end to the other.
  const std::int64_t span_bytes = rows_ * kernels_->k_block * kernels_->activation_bytes;
  const std::int64_t span =
      std::max<std::int64_t>(kCachedActivations / span_bytes, 1) * kernels_->k_block;
  for (std::int64_t begin = 0; begin < steps_; begin += span) {
    const std::int64_t end = std::min(begin + span, steps_);
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += kernels_->max_panels) {
      for (std::int64_t k = begin; k < end; k += kernels_->k_block) multiply_panels(panel, k);
    }
  }
}

/// All rows by the panels that begin with `panel`, over one block of K; tile.out is row 0's.
void PackedRows::multiply_block(GemmTile& tile, const PackedMatrix& weight, std::int64_t panel,
                                std::int64_t k) const noexcept {
  float* const out = tile.out;
  tile.steps = std::min(kernels_->k_block, steps_ - k);
  tile.w = weight.panel(panel) + k * kPanelColumns * kernels_->weight_bits / 8;
  tile.bias = k == 0 ? weight.bias(panel) : nullptr;
  if (is_integer()) tile.w_scales = weight.scales(panel, k);
  for (std::int64_t i = 0; i < tiles_; ++i) {
    tile.a = tile_data(i, k);
    tile.rows = tile_rows(i);
    tile.out = out + first_row(i) * tile.out_stride;
    tile.prefetch = i == 0 ? kPrefetchAhead : 0;
    if (is_integer()) {
      tile.a_scales = tile_scales(i, k);
      tile.a_offsets = tile_offsets(i, k);
    }
    kernels_->tile(tile);
  }
}

void run_gemm(ThreadPool& pool, PackedRows& scratch, const Product& product) {
  const PackedMatrix& weight = product.weight;
  const std::int64_t rows = product.rows;
  const std::int64_t in = weight.in_features();
  const std::int64_t out = weight.out_features();
  const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::int64_t begin = rows * i / blocks;
    const std::int64_t count = rows * (i + 1) / blocks - begin;
    scratch.resize(weight.kernels(), count, in);
    const int parts = parts_for(pool, double(count) * double(in) * double(out));
    // Whole tiles of panels, about four chunks a thread so that a delayed thread holds up little.
    const std::int64_t share = weight.panels() / (std::int64_t{16} * parts);
    const std::int64_t chunk = std::clamp(share / kMaxTilePanels * kMaxTilePanels,
                                          std::int64_t{kMaxTilePanels}, kMaxChunkPanels);
    const float* block = product.x + begin * in;
    const auto pack = [&](std::int64_t item, int) noexcept {
      scratch.pack(item, [&](std::int64_t row) { return block + row * in; });
    };
    const auto multiply = [&](std::int64_t item, int) noexcept {
      const std::int64_t panel = item * chunk;
      scratch.multiply(weight, {panel, std::min(panel + chunk, weight.panels())},
                       product.y + begin * out + panel * kPanelColumns, out, product.add);
    };
    pool.run(parts, {Phase(scratch.pack_items(), pack),
                     Phase((weight.panels() + chunk - 1) / chunk, multiply)});
  }
}

}  // namespace fdllm::cpu
