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
/// W lies in panels of 16 output columns: f32 [K][16]; bf16 [K/2][16][2], K even (zero-padded).
/// A was packed by the same table's pack_rows for exactly these rows.
/// Each output is one chain of multiply-adds over K, the same whatever `rows` and `columns` are.
struct GemmTile {
  const void* a;
  const void* w;                ///< first panel, at the first K
  std::ptrdiff_t panel_stride;  ///< bytes from a panel to the next
  std::int64_t steps;           ///< even for bf16
  int rows;                     ///< 1 .. max_rows
  int columns;                  ///< 1 .. 16 * max_panels; may end inside a panel
  float* out;
  std::ptrdiff_t out_stride;  ///< floats from a row to the next
  const float* bias;          ///< of the first column, padded to whole panels; or nullptr
  int add;                    ///< 1: out += ..., 0: out = ...
};

/// GEMM kernels for one compute type.
struct GemmKernels {
  int max_rows;
  int max_panels;
  std::size_t weight_bytes;      ///< per element of W
  std::size_t activation_bytes;  ///< per element of packed A
  std::int64_t k_block;          ///< values of K that one tile call should take, even
  /// Packs `steps` values of `count` rows (count <= max_rows) for tile(): [K][count], or for dot
  /// instructions [K/2][count][2]. `values` are the rows' valid values: an odd last pair is padded
  /// with 0. bf16 kernels round to nearest even.
  void (*pack_rows)(const float* const* rows, int count, std::int64_t values, void* out);
  void (*tile)(const GemmTile& tile);
};

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
