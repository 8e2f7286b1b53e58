// A warp's part of attention over bf16 K/V: what it does with one tile of K and one of V.
//
// A warp has 16 (query row, head) pairs of one K/V head. A lane (4 i + j) holds the queries'
// fragments of rows i and i + 8, and the same rows of the scores and of the weighted sums of V.
//
// A row of a tile is 2 kDim bytes in chunks of 16, of which chunk c of row r lies at c ^ (r % 8):
// the 8 rows of a matrix that the warp reads at once are in different banks.
#pragma once
#include <cmath>

#include "backend/cuda/attention.cuh"
#include "backend/cuda/launch.h"

namespace fdllm::cuda {

template <int kDim_, int kWarps_>
struct BlockShape {
  static constexpr int kDim = kDim_;  ///< head dims; those beyond the model's are zero
  static constexpr int kWarps = kWarps_;
  static constexpr int kThreads = kWarp * kWarps;
  static constexpr int kPairs = 16 * kWarps;
  static constexpr int kKeys = kDim <= 128 ? 64 : 32;  ///< of a tile of K or V
  static constexpr int kTilesOfPartition = static_cast<int>(kPartition) / kKeys;
  static constexpr int kRowBytes = 2 * kDim;
  static constexpr int kTileBytes = kKeys * kRowBytes;
  static constexpr int kStages = kDim <= 128 ? 4 : 3;  ///< tiles of K and V in shared memory
  /// Else a lane's fragments of the queries are in shared memory.
  static constexpr bool kQueriesInRegisters = kDim <= 128;
  static constexpr int kQueryBytes = kQueriesInRegisters ? 0 : kPairs * kRowBytes;
  static constexpr int kScores = kKeys / 8;
  static constexpr int kSums = kDim / 8;
  /// What a lane keeps of a partition, see Part.
  static constexpr int kPartValues = 4 * kSums + 4;
};

/// A lane's two rows of what some keys give: of each row the maximum of the scores, the lane's
/// share of the sum of weights, and the weighted sums of V.
template <typename Shape>
struct Part {
  float maxima[2];
  float sums[2];
  float values[Shape::kSums][4];
};

template <typename Shape>
FDLLM_DEVICE void clear(Part<Shape>& part) {
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    part.maxima[half] = -INFINITY;
    part.sums[half] = 0;
  }
  FDLLM_UNROLL
  for (int n = 0; n < Shape::kSums; ++n) {
    FDLLM_UNROLL
    for (int i = 0; i < 4; ++i) part.values[n][i] = 0;
  }
}

/// What each of two rows' sums are multiplied with before they are added.
struct Factors {
  float before[2], next[2];
};
/// Adds a partition's maxima and sums of weights to those of the partitions before.
FDLLM_DEVICE Factors merge_weights(float (&maxima)[2], float (&sums)[2],
                                   const float (&next_maxima)[2], const float (&next_sums)[2]) {
  Factors factors;
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    const float maximum = next_maxima[half] > maxima[half] ? next_maxima[half] : maxima[half];
    factors.before[half] = expf(maxima[half] - maximum);
    factors.next[half] = expf(next_maxima[half] - maximum);
    maxima[half] = maximum;
    sums[half] =
        multiply_add(next_sums[half], factors.next[half], sums[half] * factors.before[half]);
  }
  return factors;
}
/// The same for value i of a Part.
FDLLM_DEVICE float merge_values(const Factors& factors, int i, float before, float next) {
  const int half = i % 4 / 2;
  return multiply_add(next, factors.next[half], before * factors.before[half]);
}

/// A tile of keys of which some are attended, or the end of the search.
struct KeyTile {
  int number;
  std::uint64_t attended;  ///< a bit for each key
};
template <typename Shape>
FDLLM_DEVICE KeyTile next_attended(const std::uint32_t* attended, int tile, int end) {
  constexpr int kWords = Shape::kKeys / 32;
  for (; tile < end; ++tile) {
    std::uint64_t bits = attended[tile * kWords];
    if constexpr (kWords == 2) bits |= std::uint64_t{attended[tile * kWords + 1]} << 32;
    if (bits != 0) return {tile, bits};
  }
  return {tile, 0};
}

/// Starts copying a tile's rows; those that are not attended become zero, whatever they hold.
template <typename Shape>
FDLLM_DEVICE void copy_tile(const std::byte* rows, std::int64_t row_bytes, const KeyTile& tile,
                            std::byte* to) {
  constexpr int kChunks = Shape::kRowBytes / 16;
  const std::byte* const from = rows + tile.number * (Shape::kKeys * row_bytes);
  for (int at = static_cast<int>(threadIdx.x); at < Shape::kKeys * kChunks; at += Shape::kThreads) {
    const int row = at / kChunks;
    const int chunk = at % kChunks;
    const bool valid = (tile.attended >> row & 1) != 0 && chunk * 16 < row_bytes;
    copy_async_16(to + row * Shape::kRowBytes + (chunk ^ row % 8) * 16,
                  valid ? from + row * row_bytes + chunk * 16 : rows, valid);
  }
}

/// A lane's fragments of its warp's queries.
template <typename Shape>
class Queries {
 public:
  /// `memory` has kQueryBytes.
  FDLLM_DEVICE Queries(const AttentionTask& task, const TilePlace& place, int first_pair,
                       std::byte* memory)
      : mine_(reinterpret_cast<std::uint32_t*>(memory) + 4 * threadIdx.x) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    FDLLM_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int pair = first_pair + 8 * half + lane / 4;
      const float* const from = task.qkv + (pair < place.pairs() ? place.query_of(pair) : 0);
      FDLLM_UNROLL
      for (int step = 0; step < kSteps; ++step) {
        FDLLM_UNROLL
        for (int part = 0; part < 2; ++part) {
          const int dim = 16 * step + 8 * part + 2 * (lane % 4);
          Pair values{0.0f, 0.0f};
          if (pair < place.pairs() && dim < task.layout.head_dim) values = load_pair(from + dim);
          const std::uint32_t word = pack_bf16(values.first, values.second);
          if constexpr (Shape::kQueriesInRegisters) {
            words_[step][2 * part + half] = word;
          } else {
            mine_[4 * step * Shape::kThreads + 2 * part + half] = word;
          }
        }
      }
    }
  }
  FDLLM_DEVICE void load(int step, std::uint32_t (&words)[4]) const {
    if constexpr (Shape::kQueriesInRegisters) {
      FDLLM_UNROLL
      for (int i = 0; i < 4; ++i) words[i] = words_[step][i];
    } else {
      const Vector16 vector = load_16(mine_ + 4 * step * Shape::kThreads);
      FDLLM_UNROLL
      for (int i = 0; i < 4; ++i) words[i] = vector.words[i];
    }
  }

 private:
  static constexpr int kSteps = Shape::kDim / 16;
  std::uint32_t words_[Shape::kQueriesInRegisters ? kSteps : 1][4];
  std::uint32_t* mine_;
};

/// scores = q K^T
template <typename Shape>
FDLLM_DEVICE void multiply_keys(const Queries<Shape>& queries, const std::byte* k,
                                float (&scores)[Shape::kScores][4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::byte* const row = k + (lane / 16 * 8 + lane % 8) * Shape::kRowBytes;
  FDLLM_UNROLL
  for (int n = 0; n < Shape::kScores; ++n) {
    FDLLM_UNROLL
    for (int i = 0; i < 4; ++i) scores[n][i] = 0;
  }
  FDLLM_UNROLL
  for (int step = 0; step < Shape::kDim / 16; ++step) {
    const int chunk = (2 * step + lane / 8 % 2) ^ (lane % 8);
    std::uint32_t query[4];
    queries.load(step, query);
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kScores; n += 2) {
      std::uint32_t keys[4];
      load_matrices(keys, row + 8 * n * Shape::kRowBytes + chunk * 16);
      multiply_bf16(scores[n], query, {keys[0], keys[1]});
      multiply_bf16(scores[n + 1], query, {keys[2], keys[3]});
    }
  }
}

/// Turns a tile's scores into weights, relative to the maximum so far; what the tiles before gave
/// is scaled to it.
template <typename Shape>
FDLLM_DEVICE void find_weights(float scale, std::uint64_t attended,
                               float (&scores)[Shape::kScores][4], Part<Shape>& part) {
  constexpr float kLog2E = 1.44269504f;
  constexpr std::uint64_t kAll = ~std::uint64_t{0} >> (64 - Shape::kKeys);
  const std::uint64_t mine = attended >> (2 * (threadIdx.x % 4));
  FDLLM_UNROLL
  for (int n = 0; n < Shape::kScores; ++n) {
    FDLLM_UNROLL
    for (int i = 0; i < 4; ++i) {
      scores[n][i] *= scale;
      if (attended != kAll && (mine >> (8 * n + i % 2) & 1) == 0) scores[n][i] = -INFINITY;
    }
  }
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    float maximum = part.maxima[half];
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kScores; ++n) {
      FDLLM_UNROLL
      for (int odd = 0; odd < 2; ++odd) {
        const float score = scores[n][2 * half + odd];
        maximum = score > maximum ? score : maximum;
      }
    }
    FDLLM_UNROLL
    for (int bits = 1; bits <= 2; bits *= 2) {
      const float other = shuffle_xor(maximum, bits);
      maximum = other > maximum ? other : maximum;
    }
    const float factor = exp2f((part.maxima[half] - maximum) * kLog2E);
    part.maxima[half] = maximum;
    part.sums[half] *= factor;
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kSums; ++n) {
      part.values[n][2 * half] *= factor;
      part.values[n][2 * half + 1] *= factor;
    }
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kScores; ++n) {
      FDLLM_UNROLL
      for (int odd = 0; odd < 2; ++odd) {
        float& score = scores[n][2 * half + odd];
        score = exp2f((score - maximum) * kLog2E);  // NaN stays NaN
        part.sums[half] += score;
      }
    }
  }
}

/// values += weights V, with the weights rounded to bf16.
template <typename Shape>
FDLLM_DEVICE void multiply_values(const float (&weights)[Shape::kScores][4], const std::byte* v,
                                  float (&values)[Shape::kSums][4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::byte* const row = v + lane % 16 * Shape::kRowBytes;
  FDLLM_UNROLL
  for (int step = 0; step < Shape::kKeys / 16; ++step) {
    const float(&low)[4] = weights[2 * step];
    const float(&high)[4] = weights[2 * step + 1];
    const std::uint32_t fragment[4] = {pack_bf16(low[0], low[1]), pack_bf16(low[2], low[3]),
                                       pack_bf16(high[0], high[1]), pack_bf16(high[2], high[3])};
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kSums; n += 2) {
      std::uint32_t part[4];
      load_matrices_transposed(
          part, row + 16 * step * Shape::kRowBytes + ((n + lane / 16) ^ (lane % 8)) * 16);
      multiply_bf16(values[n], fragment, {part[0], part[1]});
      multiply_bf16(values[n + 1], fragment, {part[2], part[3]});
    }
  }
}

}  // namespace fdllm::cuda
