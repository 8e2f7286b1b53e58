// The table of kernels of one instruction set. The files that implement tables are compiled for
// instruction sets that the running machine may lack, so this header holds plain data only: an
// inline function here could be emitted once with AVX-512 and be linked into everything.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fdllm::cpu {

/// Columns of a weight panel.
inline constexpr int kPanelColumns = 16;
/// No kernel takes more rows or panels in one tile.
inline constexpr int kMaxTileRows = 16;
inline constexpr int kMaxTilePanels = 2;

/// One tile of out = A W^T: `rows` rows by `columns` columns over `steps` values of K.
///
/// W lies in panels of 16 output columns: f32 [K][16]; bf16 [K/2][16][2]; int8 [K/4][16][4]; int4
/// [K/8][16][4] bytes, k in the low nibbles and k + 4 in the high ones. K is filled up with zeros
/// to a multiple of step_multiple.
/// A was packed by the same table's pack_rows for exactly these rows.
/// Each output is one chain of multiply-adds over K, the same whatever `rows` and `columns` are; of
/// integer formats, a chain over the segments of K: out = fma(f32(sum of a w) * w scale, a scale,
/// out), where the sum over a segment is an exact int32.
struct GemmTile {
  const void* a;
  const void* w;                ///< first panel, at the first K
  std::ptrdiff_t panel_stride;  ///< bytes from a panel to the next
  std::int64_t steps;           ///< a multiple of step_multiple
  int rows;                     ///< 1 .. max_rows
  int columns;                  ///< 1 .. 16 * max_panels; may end inside a panel
  float* out;
  std::ptrdiff_t out_stride;  ///< floats from a row to the next
  const float* bias;          ///< of the first column, padded to whole panels; or nullptr
  int add;                    ///< 1: out += ..., 0: out = ...
  std::ptrdiff_t prefetch;    ///< bytes ahead of w to prefetch; 0: w is in cache
  // Integer formats only, from the first segment on.
  const float* w_scales;          ///< [segments][16]
  const float* a_scales;          ///< [segments][rows]
  const std::int32_t* a_offsets;  ///< [segments][rows] weight_offset * sum of the row's segment
};

/// Rows of activations to be quantised for an integer format's tile().
struct QuantizeRows {
  const float* const* rows;
  int count;            ///< 1 .. max_rows
  std::int64_t values;  ///< of K in each row, from the start of a segment
  void* out;            ///< [K/4][count][4] int8, K filled up to a multiple of step_multiple
  // One for each segment of each row, as in GemmTile. A segment (with shared_scale: a row) that
  // holds a value that is not finite has scale NaN, and zeros.
  float* scales;
  std::int32_t* offsets;
};

/// How quantize_weights() rounded w to scale * q.
struct QuantizedWeights {
  float scale;
  double error;  ///< sum (w - scale q)^2
  double size;   ///< sum w^2
};

/// GEMM kernels for one compute type.
struct GemmKernels {
  int max_rows;
  int max_panels;
  int weight_bits;               ///< per element of W
  std::size_t activation_bytes;  ///< per element of packed A
  int step_multiple;             ///< K is filled up to a multiple of it
  std::int64_t k_block;          ///< values of K that one tile call takes: a multiple of segment
  /// Packs `steps` values of `count` rows (count <= max_rows) for tile(): [K][count], or for dot
  /// instructions [K/2][count][2]. `values` are the rows' valid values: an odd last pair is padded
  /// with 0. bf16 kernels round to nearest even.
  void (*pack_rows)(const float* const* rows, int count, std::int64_t values, void* out);
  void (*tile)(const GemmTile& tile);
  // Integer formats only.
  std::int64_t segment = 0;   ///< values of K that are summed in int32; 0: no integer format
  bool shared_scale = false;  ///< all segments of a row of A and of a column of W have one scale
  int weight_offset = 0;      ///< W is stored as q + weight_offset
  void (*quantize_rows)(const QuantizeRows& task) = nullptr;  ///< instead of pack_rows
  /// Writes q of weights that share a scale, in [-127, 127] or [-8, 7]. A value that is not finite
  /// gives the scale NaN and zeros; values that are all below kSmallestQuantized give zeros. The
  /// same bits from every table.
  QuantizedWeights (*quantize_weights)(const float* values, std::int64_t count,
                                       std::int8_t* quantized) = nullptr;
};

/// Kernels of the integer formats. Their segments decide the order of f32 sums, so every table has
/// the same.
struct IntegerKernels {
  GemmKernels int8;       ///< segments of kChannelSegment, one scale for all of a row or column
  GemmKernels int8_g128;  ///< segments of 128
  GemmKernels int8_g32;   ///< segments of 32
  GemmKernels int4;       ///< segments of 128
  GemmKernels int4_g32;   ///< segments of 32
};

/// int8 could sum a row of any model in one segment; 2048 values of 192 rows fit the level 2 cache.
inline constexpr std::int64_t kChannelSegment = 2048;
inline constexpr std::int64_t kIntegerBlock = 2048;  ///< k_block of all of them
/// Activations are multiples of (largest of the segment or row) / 127.
inline constexpr float kActivationSteps = 127.0f;
/// Rows or groups whose largest value is smaller count as zeros: its reciprocal may overflow.
inline constexpr float kSmallestQuantized = 1e-30f;

/// Scores of a block of keys for one query row, turned into attention weights in place.
struct SoftmaxBlock {
  float* scores;      ///< [keys] in: q . k, out: exp(scale * score - new maximum), 0 where masked
  const float* mask;  ///< [keys] 1: attended, 0: not; nullptr: all are attended
  std::int64_t keys;
  float scale;
  float maximum;  ///< in: running maximum of scaled scores (-inf at first), out: the new one
  float sum;      ///< in: running sum of weights, out: rescaled to the new maximum and added to
  float rescale;  ///< out: exp(old maximum - new maximum), what the output so far is worth
};

/// Statistics of a run of logits.
struct LogitStatistics {
  float maximum;       ///< largest
  std::int64_t index;  ///< lowest index that has it
  bool finite;         ///< no NaN, no infinity; otherwise the other fields are meaningless
};

struct KernelTable {
  const char* name;
  GemmKernels f32;
  GemmKernels bf16;
  IntegerKernels integer;
  void (*rms_norm)(const float* x, const float* weight, float eps, std::int64_t n, float* out);
  /// out[i] = silu(gate[i]) * up[i]
  void (*swiglu)(const float* gate, const float* up, std::int64_t n, float* out);
  /// Rotates pairs (x[i], x[i + half]) by the angles whose cosine and sine are given.
  void (*rope)(float* x, const float* cos, const float* sin, std::int64_t half);
  void (*round_bf16)(const float* x, std::int64_t n, std::uint16_t* out);
  void (*softmax_block)(SoftmaxBlock& block);
  /// x[i] *= factor
  void (*scale)(float* x, std::int64_t n, float factor);
  LogitStatistics (*logit_statistics)(const float* logits, std::int64_t n);
  /// sum exp((logits[i] - maximum) * inverse_temperature), accumulated in f64.
  double (*exp_sum)(const float* logits, std::int64_t n, float maximum, float inverse_temperature);
};

const KernelTable& scalar_kernels();
#if defined(FDLLM_X86_KERNELS)
const KernelTable& avx2_kernels();
const KernelTable& avx512vnni_kernels();
const KernelTable& avx512bf16_kernels();
#endif

}  // namespace fdllm::cpu
