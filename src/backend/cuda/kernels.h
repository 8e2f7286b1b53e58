// Starts of the kernels, whatever they run on. Pointers are to device memory, matrices row-major;
// strides in bytes are multiples of 16 and what they fill up with is zero. Everything is on
// `stream`, in order, and may become part of a graph (launch_queue.h): a task has what stays the
// same from step to step, lists in device memory have the rest.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cuda/rows.h"
#include "backend/cuda/runtime.h"
#include "base/dtype.h"
#include "base/range.h"

namespace fdllm::cuda {

struct EmbedTask {
  const std::byte* table;  ///< [.., columns] of dtype kF32, kF16 or kBF16
  DType dtype;
  const std::int32_t* tokens;  ///< [rows]
  Rows rows;
  std::int64_t columns;
  float* out;  ///< [rows, columns]

  bool operator==(const EmbedTask&) const = default;
};
void run_embed(Stream stream, const EmbedTask& task);

/// How a product sees its operands.
enum class OperandKind : std::uint8_t { kF32, kBF16, kInt8, kInt4 };

/// Where rows of activations go as a product wants them.
struct OperandTask {
  OperandKind kind;
  std::byte* out;  ///< [rows] f32, bf16 or int8 (also for kInt4)
  std::int64_t out_stride;
  // Integer formats: values that are summed in int32, whether all segments of a row share a scale,
  // what weights are stored with added to them, and for each segment of each row the scale and
  // weight_offset * the sum of its integers.
  std::int64_t segment;
  bool shared_scale;
  int weight_offset;
  float* scales;
  std::int32_t* offsets;

  bool operator==(const OperandTask&) const = default;
};

struct RmsNormTask {
  const float* x;       ///< [rows, columns]
  const float* weight;  ///< [columns]
  float eps;
  Rows rows;
  std::int64_t columns;
  float* out;
  OperandTask operand;  ///< the result once more; kF32: not

  bool operator==(const RmsNormTask&) const = default;
};
void run_rms_norm(Stream stream, const RmsNormTask& task);

struct SwigluTask {
  const float* gate_up;  ///< [rows, 2 ffn]
  Rows rows;
  std::int64_t ffn;
  float* out;           ///< [rows, ffn]
  OperandTask operand;  ///< the result once more; kF32: not

  bool operator==(const SwigluTask&) const = default;
};
void run_swiglu(Stream stream, const SwigluTask& task);

struct GatherTask {
  const float* x;
  const std::int32_t* index;  ///< [rows] of x
  Rows rows;
  std::int64_t columns;
  float* out;  ///< [rows, columns]

  bool operator==(const GatherTask&) const = default;
};
void run_gather(Stream stream, const GatherTask& task);

/// Some columns of rows that are `stride` apart; perhaps in the memory of another device.
struct DeviceSlice {
  const float* from;  ///< row 0's first column
  std::int64_t stride;
  std::int64_t columns;
  std::int64_t out_begin;  ///< the first one's place in the rows of the result
};
struct JoinTask {
  const DeviceSlice* slices;
  std::int64_t slice_count;
  std::int64_t widest;  ///< columns of a slice
  Rows rows;
  std::int64_t columns;  ///< of all slices
  float* out;            ///< [rows, columns]

  bool operator==(const JoinTask&) const = default;
};
void run_join(Stream stream, const JoinTask& task);

struct PrepareTask {
  const float* x;             ///< [.., columns]
  const std::int32_t* index;  ///< [rows] rows of x, or nullptr: 0 .. rows - 1
  Rows rows;
  std::int64_t columns;
  OperandTask operand;

  bool operator==(const PrepareTask&) const = default;
};
void run_prepare(Stream stream, const PrepareTask& task);

/// out (+)= a w^T + bias. K falls into parts at fixed places, whose sums are added in order: an
/// output depends on nothing but its own operands.
struct ProductTask {
  const std::byte* a;  ///< [rows], as an OperandTask made it
  std::int64_t a_stride;
  const float* a_scales;
  const std::int32_t* a_offsets;
  const std::byte* w;  ///< [columns]; 4-bit words hold k .. k + 3 in low, k + 4 .. in high halves
  std::int64_t w_stride;
  const float* w_scales;  ///< [columns, segments]
  const float* bias;      ///< [columns] or nullptr
  float* out;
  std::int64_t out_stride;  ///< elements
  Rows rows;
  std::int64_t columns, values, segments;
  std::int64_t part_bytes;  ///< of K in a row of a (not for kF32)
  bool add;
  /// Where each part is a block's own: what product_room() says, the counters 0 before and after;
  /// else nullptr and a block goes over all parts. The result has the same bits.
  float* partials;
  std::int32_t* counters;

  bool operator==(const ProductTask&) const = default;
};
/// What a product of few blocks needs to be split: bytes of partials and counters. 0: it is not.
struct ProductRoom {
  std::size_t partial_bytes = 0;
  std::size_t counters = 0;
};
ProductRoom product_room(OperandKind kind, const ProductTask& task);
/// `segment` is 32, 128 or 2048 for kInt8 and 32 or 128 for kInt4.
void run_product(Stream stream, OperandKind kind, std::int64_t segment, const ProductTask& task);

/// K/V of one request: for each layer and K/V head K [length, dim], after those of all heads V.
struct DeviceSequence {
  std::byte* kv;
  std::int32_t length;
  std::int32_t first_row;       ///< of the batch
  std::int32_t attended_begin;  ///< its first word of AttentionTask::attended
};

struct AttentionLayout {
  std::int64_t heads, kv_heads, head_dim, padded_dim;
  std::int64_t layer;
  bool is_bf16;

  bool operator==(const AttentionLayout&) const = default;
};

struct HeadNormTask {
  float* qkv;             ///< [rows, (heads + 2 kv_heads) head_dim]
  const float* q_weight;  ///< [head_dim]
  const float* k_weight;
  float eps;
  Rows rows;
  std::int64_t heads, kv_heads, head_dim;

  bool operator==(const HeadNormTask&) const = default;
};
void run_head_norm(Stream stream, const HeadNormTask& task);

struct RopeTask {
  float* qkv;
  const float* cos;
  const float* sin;
  const DeviceSequence* sequences;
  const std::int32_t* row_sequence;  ///< [rows] the sequence of each, or -1
  const std::int32_t* positions;     ///< [rows]
  Rows rows;
  AttentionLayout layout;

  bool operator==(const RopeTask&) const = default;
};
void run_rope_store(Stream stream, const RopeTask& task);

/// (query row, head of the group) pairs [begin, end) of a sequence: what a block works on.
struct AttentionTile {
  std::int32_t sequence, begin, end;
};
/// Keys whose weights are normalised together; partitions begin at multiples of it.
inline constexpr std::int64_t kPartition = 256;
inline constexpr std::int64_t kMaxHeadDim = 256;

struct AttentionTask {
  const float* qkv;
  const DeviceSequence* sequences;
  /// A bit for each K/V row of a sequence, the first in the lowest bit, filled up with 0 to whole
  /// partitions.
  const std::uint32_t* attended;
  const AttentionTile* tiles;
  std::int64_t tile_count;
  std::int64_t tile_pairs;  ///< at most in a tile
  std::int64_t partitions;  ///< of the longest sequence
  AttentionLayout layout;
  float scale;
  /// Where each partition is a block's own, room for attention_partial_bytes() and as many counters
  /// as tiles times K/V heads, which are 0 before and after; else nullptr and a block goes over all
  /// partitions. The result has the same bits.
  std::byte* partials;
  std::int32_t* counters;
  float* out;  ///< [rows, heads * head_dim]

  bool operator==(const AttentionTask&) const = default;
};

/// f32 K/V: tile_pairs is kF32TilePairs, partitions are never split.
void run_attention_f32(Stream stream, const AttentionTask& task);
inline constexpr std::int64_t kF32TilePairs = 16;

/// bf16 K/V: tile_pairs is kFewPairs or, for head dims up to 128, kManyPairs.
void run_attention_bf16(Stream stream, const AttentionTask& task);
inline constexpr std::int64_t kFewPairs = 32;
inline constexpr std::int64_t kManyPairs = 64;
inline constexpr std::int64_t kManyPairsHeadDim = 128;
std::size_t attention_partial_bytes(const AttentionTask& task);

/// Tokens whose TokenRule a word holds.
inline constexpr std::int64_t kRulesOfWord = 16;

/// ScoreRequest and HeadRow in numbers.
struct DeviceHeadRow {
  std::int32_t row, unconditional;  ///< rows of the logits; unconditional -1: none
  float cfg_scale, temperature;     ///< temperature 0: greedy
  float top_p;
  std::int32_t top_k;
  std::int32_t sampling;
  /// The row's exceptions: words of HeadReduceTask::token_rules with two bits a token, TokenRule;
  /// the first word's are those of tokens from 16 first_rule_word on. rule_words 0: none.
  std::int32_t rules_begin, first_rule_word;
  std::uint32_t rule_words;
  std::int32_t has_unsure;  ///< some of them are TokenRule::kUnsure
  std::int32_t raw_distribution;
  std::int32_t position, step;
  std::uint64_t seed;
};

/// What a chunk of the vocabulary tells about a row.
struct HeadPartial {
  float maximum;
  float pick_logit;
  double sum, filtered_sum;
  double pick_value;
  std::int32_t pick_token;
  std::int32_t finite;
};

struct DeviceScore {
  double confidence, filtered_confidence;
  double margin, entropy;  ///< of distributions only
  std::int32_t token;
  std::int32_t finite;
};

inline constexpr std::int64_t kHeadChunk = 256;

struct HeadReduceTask {
  const float* logits;  ///< [.., stride]: tokens first .. first + count
  std::int64_t stride, first, count;
  const DeviceHeadRow* head_rows;
  const std::uint32_t* token_rules;
  Rows rows;
  HeadPartial* partials;  ///< [rows, chunks]; this fills those from first / kHeadChunk on
  std::int64_t chunks;

  bool operator==(const HeadReduceTask&) const = default;
};
void run_head_reduce(Stream stream, const HeadReduceTask& task);

struct HeadMergeTask {
  const HeadPartial* partials;
  const DeviceHeadRow* head_rows;
  const std::uint32_t* token_rules;
  Rows rows;
  std::int64_t chunks;
  DeviceScore* scores;

  bool operator==(const HeadMergeTask&) const = default;
};
void run_head_merge(Stream stream, const HeadMergeTask& task);

/// Rows with top_p, top_k, margin or entropy, from all their logits (which are overwritten).
struct DistributionTask {
  float* logits;  ///< [.., stride], stride a multiple of 4
  std::int64_t stride, vocab;
  const DeviceHeadRow* head_rows;
  const std::uint32_t* token_rules;
  Rows rows;
  DeviceScore* scores;  ///< [rows]

  bool operator==(const DistributionTask&) const = default;
};
void run_distribution(Stream stream, const DistributionTask& task);

}  // namespace fdllm::cuda
