// Attention however a launch is cut into blocks: the same bits, and right. (That back ends agree on
// it is in attention_conformance_test.cpp; there the host chooses how to cut.)
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch_queue.h"
#include "backend/cuda/runtime.h"
#include "base/dtype.h"

namespace fdllm::cuda {
namespace {

struct Geometry {
  std::int64_t heads, kv_heads, head_dim;
};

/// A batch of sequences of bf16 K/V in the second of two layers, with other values in the first.
class Batch {
 public:
  Batch(const Geometry& geometry, const std::vector<std::int32_t>& lengths,
        const std::vector<std::int32_t>& rows)
      : layout_{.heads = geometry.heads,
                .kv_heads = geometry.kv_heads,
                .head_dim = geometry.head_dim,
                .padded_dim = (geometry.head_dim + 7) / 8 * 8,
                .layer = 1,
                .is_bf16 = true} {
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      kv_.emplace_back(
          static_cast<std::size_t>(4 * layout_.kv_heads * lengths[i] * layout_.padded_dim));
      for (std::size_t j = 0; j < kv_[i].size(); ++j) {
        const bool is_padding = static_cast<std::int64_t>(j) % layout_.padded_dim >= head_dim();
        kv_[i][j] = to_bf16(is_padding ? 0.0f : normal_(random_));
      }
      sequences_.push_back({.kv = reinterpret_cast<std::byte*>(kv_[i].data()),
                            .length = lengths[i],
                            .first_row = total_rows_,
                            .attended_begin = static_cast<std::int32_t>(attended_.size())});
      rows_.push_back(rows[i]);
      total_rows_ += rows[i];
      // Here and there a row, long runs without any, whole tiles of them.
      const std::size_t first = attended_.size();
      attended_.resize(first + static_cast<std::size_t>((lengths[i] + 255) / 256 * 8));
      for (std::int32_t key = 0; key < lengths[i]; ++key) {
        const std::int32_t part = key / 70 % 4;
        if (part == 1 || key % 5 == part) set(i, key);
        if (part == 3 && key / 280 % 2 == 1) set(i, key);
      }
      for (std::int32_t key = 256; key < std::min(512, lengths[i]); ++key) unset(i, key);
      set(i, lengths[i] - 1);
    }
    for (std::int64_t i = 0; i < total_rows_ * (heads() + 2 * kv_heads()) * head_dim(); ++i) {
      qkv_.push_back(normal_(random_) * 1.5f);
    }
  }

  void set(std::size_t sequence, std::int32_t key) { word(sequence, key) |= 1u << (key % 32); }
  void unset(std::size_t sequence, std::int32_t key) { word(sequence, key) &= ~(1u << (key % 32)); }
  bool is_attended(std::size_t sequence, std::int32_t key) {
    return (word(sequence, key) >> (key % 32) & 1u) != 0;
  }
  bf16& key_value(std::size_t sequence, bool is_v, std::int64_t head, std::int32_t key,
                  std::int64_t dim) {
    const std::int64_t length = sequences_[sequence].length;
    return kv_[sequence][static_cast<std::size_t>(
        (((2 + (is_v ? 1 : 0)) * kv_heads() + head) * length + key) * layout_.padded_dim + dim)];
  }

  std::vector<float> run(std::int64_t tile_pairs, bool is_split) {
    std::vector<AttentionTile> tiles;
    std::int32_t longest = 0;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const auto pairs = static_cast<std::int32_t>(rows_[i] * (heads() / kv_heads()));
      for (std::int32_t first = 0; first < pairs; first += static_cast<std::int32_t>(tile_pairs)) {
        tiles.push_back({static_cast<std::int32_t>(i), first,
                         std::min(first + static_cast<std::int32_t>(tile_pairs), pairs)});
      }
      longest = std::max(longest, sequences_[i].length);
    }
    std::vector<float> out(static_cast<std::size_t>(total_rows_ * heads() * head_dim()));
    AttentionTask task{.qkv = qkv_.data(),
                       .sequences = sequences_.data(),
                       .attended = attended_.data(),
                       .tiles = tiles.data(),
                       .tile_count = std::ssize(tiles),
                       .tile_pairs = tile_pairs,
                       .partitions = (longest + kPartition - 1) / kPartition,
                       .layout = layout_,
                       .scale = 1.0f / std::sqrt(static_cast<float>(head_dim())),
                       .partials = nullptr,
                       .counters = nullptr,
                       .out = out.data()};
    std::vector<std::byte> partials;
    std::vector<std::int32_t> counters(tiles.size() * static_cast<std::size_t>(kv_heads()));
    if (is_split) {
      partials.resize(attention_partial_bytes(task), std::byte{0xff});
      task.partials = partials.data();
      task.counters = counters.data();
    }
    Runtime runtime;
    LaunchQueue queue(runtime, LaunchMode::kDirect);
    run_attention_bf16(&queue, task);
    EXPECT_EQ(counters, std::vector<std::int32_t>(counters.size())) << "counters are left at 0";
    return out;
  }

  /// In double precision.
  std::vector<double> expected() {
    std::vector<double> out;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      for (std::int32_t row = 0; row < rows_[i]; ++row) {
        for (std::int64_t head = 0; head < heads(); ++head) append_expected(i, row, head, out);
      }
    }
    return out;
  }

 private:
  std::int64_t heads() const { return layout_.heads; }
  std::int64_t kv_heads() const { return layout_.kv_heads; }
  std::int64_t head_dim() const { return layout_.head_dim; }
  std::uint32_t& word(std::size_t sequence, std::int32_t key) {
    return attended_[static_cast<std::size_t>(sequences_[sequence].attended_begin + key / 32)];
  }

  void append_expected(std::size_t sequence, std::int32_t row, std::int64_t head,
                       std::vector<double>& out) {
    const std::int64_t kv_head = head / (heads() / kv_heads());
    const float* const query =
        qkv_.data() +
        (sequences_[sequence].first_row + row) * (heads() + 2 * kv_heads()) * head_dim() +
        head * head_dim();
    std::vector<double> sums(static_cast<std::size_t>(head_dim()));
    double total = 0;
    for (std::int32_t key = 0; key < sequences_[sequence].length; ++key) {
      if (!is_attended(sequence, key)) continue;
      double score = 0;
      for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
        score += static_cast<double>(round_bf16(query[dim])) *
                 static_cast<double>(to_float(key_value(sequence, false, kv_head, key, dim)));
      }
      const double weight = std::exp(score / std::sqrt(static_cast<double>(head_dim())));
      total += weight;
      for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
        sums[static_cast<std::size_t>(dim)] +=
            weight * static_cast<double>(to_float(key_value(sequence, true, kv_head, key, dim)));
      }
    }
    for (const double sum : sums) out.push_back(sum / total);
  }

  AttentionLayout layout_;
  std::mt19937 random_{7};
  std::normal_distribution<float> normal_;
  std::vector<std::vector<bf16>> kv_;
  std::vector<DeviceSequence> sequences_;
  std::vector<std::int32_t> rows_;
  std::vector<std::uint32_t> attended_;
  std::vector<float> qkv_;
  std::int32_t total_rows_ = 0;
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(Attention, IsRightAndTheSameHoweverItIsCut) {
  const Geometry geometries[] = {{2, 2, 64}, {6, 2, 20}, {7, 1, 128}, {2, 2, 96}, {3, 1, 256}};
  for (const Geometry& geometry : geometries) {
    Batch batch(geometry, {700, 1, 330, 64}, {12, 1, 40, 0});
    const auto expected = batch.expected();
    const auto out = batch.run(kFewPairs, false);
    ASSERT_EQ(out.size(), expected.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      // Weights are rounded by 2^-9 at most, to either side.
      ASSERT_NEAR(static_cast<double>(out[i]), expected[i], 4e-3) << geometry.head_dim << " " << i;
    }
    EXPECT_TRUE(same_bits(batch.run(kFewPairs, true), out)) << geometry.head_dim;
    if (geometry.head_dim > kManyPairsHeadDim) continue;
    EXPECT_TRUE(same_bits(batch.run(kManyPairs, false), out)) << geometry.head_dim;
    EXPECT_TRUE(same_bits(batch.run(kManyPairs, true), out)) << geometry.head_dim;
  }
}

TEST(Attention, RowsThatAreNotAttendedMayHoldAnything) {
  const Geometry geometry{2, 1, 32};
  Batch batch(geometry, {300}, {5});
  const auto out = batch.run(kFewPairs, true);
  for (std::int32_t key = 0; key < 300; ++key) {
    if (batch.is_attended(0, key)) continue;
    for (const bool is_v : {false, true}) {
      batch.key_value(0, is_v, 0, key, key % 32) = to_bf16(std::numeric_limits<float>::quiet_NaN());
    }
  }
  EXPECT_TRUE(same_bits(batch.run(kFewPairs, true), out));
  EXPECT_TRUE(same_bits(batch.run(kManyPairs, false), out));
}

TEST(Attention, NanReachesItsRowsAndNoOthers) {
  const Geometry geometry{2, 2, 32};
  for (const bool is_split : {false, true}) {
    Batch batch(geometry, {600, 20}, {3, 2});
    batch.key_value(0, false, 1, 599, 4) = to_bf16(std::numeric_limits<float>::quiet_NaN());
    const auto out = batch.run(kFewPairs, is_split);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const bool is_first_sequence = i < std::size_t{3 * 2 * 32};
      const bool is_second_head = i / 32 % 2 == 1;
      EXPECT_EQ(std::isnan(out[i]), is_first_sequence && is_second_head) << i;
    }
  }
}

}  // namespace
}  // namespace fdllm::cuda
