#include "backend/cuda/device_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "backend/cuda/device_backend.h"
#include "backend/cuda/launch_queue.h"

namespace fdllm::cuda {
namespace {

/// Blocks that fill the multiprocessors of a large GPU twice. With fewer, tiles are smaller, and
/// each partition of the keys becomes a block of its own.
constexpr std::int64_t kEnoughBlocks = 288;
/// Blocks of partitions that there is memory for (17 to 34 KB each).
constexpr std::int64_t kMostParts = 8192;

const DeviceKvSlab& slab_of(const SequenceRows& sequence) {
  return *static_cast<const DeviceKvSlab*>(sequence.kv);
}

/// Adds `attend` as AttentionTask::attended wants it.
void append_bits(std::span<const Range> attend, std::int64_t length,
                 std::vector<std::uint32_t>& words) {
  const std::int64_t partitions = (length + kPartition - 1) / kPartition;
  const std::size_t first = words.size();
  words.resize(first + static_cast<std::size_t>(partitions * kPartition / 32));
  for (const Range& range : attend) {
    for (std::int32_t row = range.begin; row < range.end; ++row) {
      words[first + static_cast<std::size_t>(row / 32)] |= 1u << (row % 32);
    }
  }
}

}  // namespace

AttentionLayout DeviceAttention::layout(const LayerRows& of) const {
  return {.heads = of.shape.heads,
          .kv_heads = of.shape.kv_heads,
          .head_dim = of.shape.head_dim,
          .padded_dim = DeviceKvSlab::padded_dim(of.shape.head_dim),
          .layer = of.layer,
          .is_bf16 = is_bf16_};
}

void DeviceAttention::rope_store(float* qkv, const float* cos, const float* sin,
                                 const LayerRows& of) {
  std::vector<DeviceSequence> device_sequences;
  std::vector<std::int32_t> row_sequence;
  std::vector<std::int32_t> positions;
  for (const SequenceRows& sequence : of.sequences) {
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
                                .attended_begin = 0});
  }
  LaunchQueue& queue = *runtime_->stream();
  run_rope_store(&queue,
                 {.qkv = qkv,
                  .cos = cos,
                  .sin = sin,
                  .sequences = queue.list<DeviceSequence>(ListUse::kSequences, device_sequences),
                  .row_sequence = queue.list<std::int32_t>(ListUse::kRowSequences, row_sequence),
                  .positions = queue.list<std::int32_t>(ListUse::kPositions, positions),
                  .rows = queue.rows(std::ssize(positions)),
                  .layout = layout(of)});
}

std::int64_t DeviceAttention::tile_pairs(const LayerRows& of) const {
  if (!is_bf16_) return kF32TilePairs;
  const AttentionShape& shape = of.shape;
  std::int64_t full_tiles = 0;
  for (const SequenceRows& sequence : of.sequences) {
    full_tiles += sequence.rows.size() * (shape.heads / shape.kv_heads) / kManyPairs;
  }
  const bool is_many =
      shape.head_dim <= kManyPairsHeadDim && full_tiles * shape.kv_heads >= kEnoughBlocks;
  return is_many ? kManyPairs : kFewPairs;
}

void DeviceAttention::attention(const float* qkv, const LayerRows& of, float* out) {
  const AttentionShape& shape = of.shape;
  std::vector<DeviceSequence> device_sequences;
  std::vector<std::uint32_t> attended;
  std::vector<AttentionTile> tiles;
  std::int64_t longest = 0;
  const std::int64_t tile_pairs = this->tile_pairs(of);
  for (const SequenceRows& sequence : of.sequences) {
    const std::int64_t length = slab_of(sequence).length();
    const std::int64_t pairs = sequence.rows.size() * (shape.heads / shape.kv_heads);
    for (std::int64_t first = 0; first < pairs; first += tile_pairs) {
      tiles.push_back({static_cast<std::int32_t>(device_sequences.size()),
                       static_cast<std::int32_t>(first),
                       static_cast<std::int32_t>(std::min(first + tile_pairs, pairs))});
    }
    longest = std::max(longest, length);
    device_sequences.push_back({.kv = slab_of(sequence).data(),
                                .length = static_cast<std::int32_t>(length),
                                .first_row = sequence.rows.begin,
                                .attended_begin = static_cast<std::int32_t>(attended.size())});
    append_bits(sequence.attend, length, attended);
  }
  if (tiles.empty()) return;
  // Launches for nearly as many tiles are the same one; the empty tiles end at once.
  const auto rounded = static_cast<std::int64_t>(std::bit_ceil(tiles.size()));
  tiles.resize(static_cast<std::size_t>(std::min(rounded, bucket_of(std::ssize(tiles)))),
               {0, 0, 0});
  AttentionTask task{
      .qkv = qkv,
      .sequences = nullptr,
      .attended = nullptr,
      .tiles = nullptr,
      .tile_count = std::ssize(tiles),
      .tile_pairs = tile_pairs,
      .partitions = (longest + kPartition - 1) / kPartition,
      .layout = layout(of),
      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim))),
      .partials = nullptr,
      .counters = nullptr,
      .out = out};
  const std::int64_t blocks = task.tile_count * shape.kv_heads;
  if (is_bf16_ && task.partitions > 1 && blocks < kEnoughBlocks &&
      blocks * task.partitions <= kMostParts) {
    partials_.reserve(*runtime_, attention_partial_bytes(task), "attention of partitions");
    counters_.reserve(*runtime_, static_cast<std::size_t>(blocks) * sizeof(std::int32_t),
                      "attention's counters");
    task.partials = partials_.data();
    task.counters = counters_.as<std::int32_t>();
  }
  LaunchQueue& queue = *runtime_->stream();
  task.sequences = queue.list<DeviceSequence>(ListUse::kSequences, device_sequences);
  task.attended = queue.list<std::uint32_t>(ListUse::kAttended, attended);
  task.tiles = queue.list<AttentionTile>(ListUse::kTiles, tiles);
  is_bf16_ ? run_attention_bf16(&queue, task) : run_attention_f32(&queue, task);
}

}  // namespace fdllm::cuda
