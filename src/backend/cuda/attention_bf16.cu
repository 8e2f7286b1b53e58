// Attention over bf16 K/V on the matrix units.
//
// A warp has 16 (query row, head) pairs of one K/V head; the warps of a block share tiles of K and
// V, which stream through shared memory in turn. A lane (4 i + j) holds the queries' fragments of
// rows i and i + 8, and the same rows of the scores and of the weighted sums of V. Within a
// partition of the keys the softmax is online, tile by tile. With few rows each partition is a
// block's own, and the last block that finishes merges them.
//
// A row of a tile is 2 kDim bytes in chunks of 16, of which chunk c of row r lies at c ^ (r % 8):
// the 8 rows of a matrix that the warp reads at once are in different banks.
#include <cmath>

#include "backend/cuda/attention.cuh"
#include "backend/cuda/launch.h"

namespace fdllm::cuda {
namespace {

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

template <typename Shape>
FDLLM_DEVICE void write_output(const AttentionTask& task, const TilePlace& place, int first_pair,
                               const float (&sums)[2], const float (&values)[Shape::kSums][4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    float sum = sums[half];
    for (int bits = 1; bits <= 2; bits *= 2) sum += shuffle_xor(sum, bits);
    const int pair = first_pair + 8 * half + lane / 4;
    if (pair >= place.pairs()) continue;
    float* const out = task.out + place.output_of(pair);
    const float factor = 1.0f / sum;
    FDLLM_UNROLL
    for (int n = 0; n < Shape::kSums; ++n) {
      const int dim = 8 * n + 2 * (lane % 4);
      if (dim < task.layout.head_dim) {
        store_pair(out + dim, {values[n][2 * half] * factor, values[n][2 * half + 1] * factor});
      }
    }
  }
}

template <typename Shape>
FDLLM_KERNEL(Shape::kThreads)
attend_bf16(AttentionTask task) {
  FDLLM_SHARED_MEMORY(memory);
  const std::int64_t kv_head = blockIdx.y;
  const TilePlace place(task, kv_head);
  if (place.pairs() == 0) return;
  const int partitions = place.partitions();
  const bool is_split = task.partials != nullptr;
  if (is_split && static_cast<int>(blockIdx.z) >= partitions) return;
  const int first = is_split ? static_cast<int>(blockIdx.z) * Shape::kTilesOfPartition : 0;
  const int last =
      is_split ? first + Shape::kTilesOfPartition : partitions * Shape::kTilesOfPartition;
  const std::uint32_t* const attended = task.attended + place.sequence.attended_begin;
  const auto next = [&](int tile) { return next_attended<Shape>(attended, tile, last); };
  const std::byte* const k = place.k(2);
  const std::byte* const v = place.v(2);

  // Tiles of K and V take turns; `ahead` is the next one to be copied.
  KeyTile ahead = next(first);
  int copied = 0;
  const auto copy_next = [&] {
    if (ahead.number < last) {
      copy_tile<Shape>(copied % 2 == 0 ? k : v, 2 * task.layout.padded_dim, ahead,
                       memory + copied % Shape::kStages * Shape::kTileBytes);
      if (copied % 2 == 1) ahead = next(ahead.number + 1);
    }
    ++copied;
    commit_copies();
  };
  for (int i = 0; i < Shape::kStages - 1; ++i) copy_next();

  const int first_pair = static_cast<int>(threadIdx.x) / kWarp * 16;
  const bool has_pairs = first_pair < place.pairs();  // else the warp only copies
  std::byte* const behind_tiles = memory + Shape::kStages * Shape::kTileBytes;
  const Queries<Shape> queries(task, place, first_pair, behind_tiles);
  // Values of the partitions before: a column for each thread.
  auto* const before = reinterpret_cast<float*>(behind_tiles + Shape::kQueryBytes) + threadIdx.x;
  float before_maxima[2] = {-INFINITY, -INFINITY};
  float before_sums[2] = {0.0f, 0.0f};
  bool is_first = true;
  Part<Shape> part;
  clear(part);

  for (KeyTile tile = next(first); tile.number < last;) {
    const auto next_stage = [&] {  // the tile is there, and nobody reads the one copied over
      wait_copies<Shape::kStages - 2>();
      sync_block();
      copy_next();
      return memory + copied % Shape::kStages * Shape::kTileBytes;
    };
    float scores[Shape::kScores][4];
    const std::byte* const tile_k = next_stage();
    if (has_pairs) {
      multiply_keys<Shape>(queries, tile_k, scores);
      find_weights<Shape>(task.scale, tile.attended, scores, part);
    }
    const std::byte* const tile_v = next_stage();
    if (has_pairs) multiply_values<Shape>(scores, tile_v, part.values);
    const KeyTile following = next(tile.number + 1);
    const bool is_last = following.number >= last;
    if (!is_split && (is_last || following.number / Shape::kTilesOfPartition !=
                                     tile.number / Shape::kTilesOfPartition)) {
      const Factors factors = merge_weights(before_maxima, before_sums, part.maxima, part.sums);
      FDLLM_UNROLL
      for (int i = 0; i < 4 * Shape::kSums; ++i) {
        float& value = part.values[i / 4][i % 4];
        value = merge_values(factors, i, is_first ? 0.0f : before[i * Shape::kThreads], value);
        if (!is_last) before[i * Shape::kThreads] = value;
      }
      is_first = false;
      if (!is_last) clear(part);
    }
    tile = following;
  }
  if (!is_split) {
    write_output<Shape>(task, place, first_pair, before_sums, part.values);
    return;
  }

  const std::int64_t at = std::int64_t{blockIdx.x} * task.layout.kv_heads + kv_head;
  constexpr int kPartSize = Shape::kPartValues * Shape::kThreads;
  float* const parts =
      reinterpret_cast<float*>(task.partials) + at * task.partitions * kPartSize + threadIdx.x;
  float* const mine = parts + blockIdx.z * kPartSize;
  FDLLM_UNROLL
  for (int half = 0; half < 2; ++half) {
    mine[half * Shape::kThreads] = part.maxima[half];
    mine[(2 + half) * Shape::kThreads] = part.sums[half];
  }
  FDLLM_UNROLL
  for (int i = 0; i < 4 * Shape::kSums; ++i) {
    mine[(4 + i) * Shape::kThreads] = part.values[i / 4][i % 4];
  }
  if (!is_last_block(task.counters + at, partitions, reinterpret_cast<std::int32_t*>(memory))) {
    return;
  }
  clear(part);
  for (int partition = 0; partition < partitions; ++partition) {
    const int begin = partition * Shape::kTilesOfPartition;
    const int end = begin + Shape::kTilesOfPartition;
    if (next_attended<Shape>(attended, begin, end).number == end) continue;
    const float* const from = parts + partition * kPartSize;
    const auto load = [&](int i) { return load_shared_by_blocks(from + i * Shape::kThreads); };
    const float next_maxima[2] = {load(0), load(1)};
    const float next_sums[2] = {load(2), load(3)};
    const Factors factors = merge_weights(part.maxima, part.sums, next_maxima, next_sums);
    FDLLM_UNROLL
    for (int i = 0; i < 4 * Shape::kSums; ++i) {
      float& value = part.values[i / 4][i % 4];
      value = merge_values(factors, i, value, load(4 + i));
    }
  }
  write_output<Shape>(task, place, first_pair, part.sums, part.values);
}

template <typename Shape>
void launch_shape(Stream stream, const AttentionTask& task) {
  const bool is_split = task.partials != nullptr;
  const std::size_t before_bytes =
      is_split || task.partitions == 1 ? 0 : 4 * std::size_t{Shape::kPairs} * Shape::kDim;
  launch(stream,
         {.x = task.tile_count,
          .y = task.layout.kv_heads,
          .z = is_split ? task.partitions : 1,
          .threads = Shape::kThreads,
          .shared_bytes =
              std::size_t{Shape::kStages} * Shape::kTileBytes + Shape::kQueryBytes + before_bytes},
         attend_bf16<Shape>, task);
}

/// `use` gets a BlockShape that fits the task.
template <typename Use>
void with_shape(const AttentionTask& task, const Use& use) {
  const bool is_many = task.tile_pairs == kManyPairs;
  if (task.layout.head_dim <= 64) {
    is_many ? use(BlockShape<64, 4>{}) : use(BlockShape<64, 2>{});
  } else if (task.layout.head_dim <= kManyPairsHeadDim) {
    is_many ? use(BlockShape<128, 4>{}) : use(BlockShape<128, 2>{});
  } else {
    use(BlockShape<256, 2>{});
  }
}

}  // namespace

std::size_t attention_partial_bytes(const AttentionTask& task) {
  std::size_t bytes = 0;
  with_shape(task, [&]<typename Shape>(Shape) {
    bytes = static_cast<std::size_t>(task.tile_count * task.layout.kv_heads * task.partitions) *
            Shape::kPartValues * Shape::kThreads * sizeof(float);
  });
  return bytes;
}

void run_attention_bf16(Stream stream, const AttentionTask& task) {
  with_shape(task, [&]<typename Shape>(Shape) { launch_shape<Shape>(stream, task); });
}

}  // namespace fdllm::cuda
