#include "backend/cuda/device_attention.h"

#include <algorithm>
#include <cmath>

#include "backend/cuda/device_backend.h"
#include "base/check.h"

namespace fdllm::cuda {
namespace {

/// Blocks that fill the multiprocessors of a large GPU twice: with fewer, each partition of the
/// keys becomes a block of its own.
constexpr std::int64_t kEnoughBlocks = 288;

const DeviceKvSlab& slab_of(const SequenceRows& sequence) {
  return *static_cast<const DeviceKvSlab*>(sequence.kv);
}

void check_sequence(const SequenceRows& sequence, const AttentionShape& shape, std::int64_t layer) {
  check(sequence.kv != nullptr, "a sequence without K/V");
  const DeviceKvSlab& slab = slab_of(sequence);
  check(slab.shape().kv_heads == shape.kv_heads && slab.shape().head_dim == shape.head_dim &&
            layer >= 0 && layer < slab.shape().layers,
        "K/V of another shape");
  check(static_cast<std::int64_t>(sequence.positions.size()) == sequence.rows.size(),
        "rows without positions");
  for (const std::int32_t position : sequence.positions) {
    check(position >= 0 && position < slab.length(), "a position outside its K/V");
  }
  for (const Range& range : sequence.attend) {
    check(range.begin >= 0 && range.begin <= range.end && range.end <= slab.length(),
          "attended rows outside their K/V");
  }
}

}  // namespace

AttentionLayout DeviceAttention::layout(const AttentionShape& shape, std::int64_t layer) const {
  return {.heads = shape.heads,
          .kv_heads = shape.kv_heads,
          .head_dim = shape.head_dim,
          .padded_dim = DeviceKvSlab::padded_dim(shape.head_dim),
          .layer = layer,
          .is_bf16 = is_bf16_};
}

void DeviceAttention::rope_store(float* qkv, const AttentionShape& shape, const float* cos,
                                 const float* sin, std::span<const SequenceRows> sequences,
                                 std::int64_t layer) {
  std::vector<DeviceSequence> device_sequences;
  std::vector<std::int32_t> row_sequence;
  std::vector<std::int32_t> positions;
  for (const SequenceRows& sequence : sequences) {
    check_sequence(sequence, shape, layer);
    const auto end = static_cast<std::size_t>(sequence.rows.end);
    if (end > positions.size()) {
      row_sequence.resize(end, -1);
      positions.resize(end, 0);
    }
    std::fill_n(row_sequence.begin() + sequence.rows.begin, sequence.rows.size(),
                static_cast<std::int32_t>(device_sequences.size()));
    std::ranges::copy(sequence.positions, positions.begin() + sequence.rows.begin);
    device_sequences.push_back({.kv = slab_of(sequence).data(),
                                .length = static_cast<std::int32_t>(slab_of(sequence).length()),
                                .first_row = sequence.rows.begin,
                                .attend_begin = 0,
                                .attend_end = 0});
  }
  run_rope_store(
      runtime_->stream(),
      {.qkv = qkv,
       .cos = cos,
       .sin = sin,
       .sequences = rope_sequences_.update<DeviceSequence>(*runtime_, *staging_, device_sequences),
       .row_sequence = row_sequence_.update<std::int32_t>(*runtime_, *staging_, row_sequence),
       .positions = positions_.update<std::int32_t>(*runtime_, *staging_, positions),
       .rows = std::ssize(positions),
       .layout = layout(shape, layer)});
}

void DeviceAttention::attention(const float* qkv, const AttentionShape& shape,
                                std::span<const SequenceRows> sequences, std::int64_t layer,
                                float* out) {
  std::vector<DeviceSequence> device_sequences;
  std::vector<Range> attend;
  std::vector<AttentionTile> tiles;
  std::int64_t rows = 0;
  std::int64_t longest = 0;
  for (const SequenceRows& sequence : sequences) {
    check_sequence(sequence, shape, layer);
    std::int64_t attended = 0;
    for (const Range& range : sequence.attend) attended += range.size();
    check(attended > 0 || sequence.rows.size() == 0, "a sequence that attends nothing");
    const auto begin = static_cast<std::int32_t>(attend.size());
    attend.insert(attend.end(), sequence.attend.begin(), sequence.attend.end());
    const std::int64_t pairs = sequence.rows.size() * (shape.heads / shape.kv_heads);
    for (std::int64_t first = 0; first < pairs; first += kAttentionRows) {
      tiles.push_back({static_cast<std::int32_t>(device_sequences.size()),
                       static_cast<std::int32_t>(first),
                       static_cast<std::int32_t>(std::min(first + kAttentionRows, pairs))});
    }
    rows = std::max<std::int64_t>(rows, sequence.rows.end);
    longest = std::max(longest, slab_of(sequence).length());
    device_sequences.push_back({.kv = slab_of(sequence).data(),
                                .length = static_cast<std::int32_t>(slab_of(sequence).length()),
                                .first_row = sequence.rows.begin,
                                .attend_begin = begin,
                                .attend_end = static_cast<std::int32_t>(attend.size())});
  }
  if (tiles.empty()) return;
  AttentionTask task{
      .qkv = qkv,
      .sequences =
          attention_sequences_.update<DeviceSequence>(*runtime_, *staging_, device_sequences),
      .attend = attend_.update<Range>(*runtime_, *staging_, attend),
      .tiles = tiles_.update<AttentionTile>(*runtime_, *staging_, tiles),
      .tile_count = std::ssize(tiles),
      .partitions = (longest + kPartition - 1) / kPartition,
      .rows = rows,
      .layout = layout(shape, layer),
      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim))),
      .partials = nullptr,
      .out = out};
  if (task.partitions > 1 && std::ssize(tiles) * shape.kv_heads < kEnoughBlocks) {
    partials_.reserve(*runtime_, static_cast<std::size_t>(partial_elements(task)) * sizeof(float),
                      "attention of partitions");
    task.partials = partials_.as<float>();
  }
  run_attention(runtime_->stream(), task);
}

}  // namespace fdllm::cuda
