#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/score.h"
#include "base/dtype.h"
#include "base/range.h"

namespace fdllm {

/// Arithmetic of a model (docs/design.md). kF32: everything f32, K/V too. kBF16: GEMM inputs
/// (weights and activations), K, V and attention weights rounded to bf16 on every instruction set;
/// residual stream, norms, accumulators, softmax statistics and scores in f32.
enum class ComputeType : std::uint8_t { kF32, kBF16 };

/// How weight matrices are kept and multiplied. kF32 computes in ComputeType::kF32, all others in
/// kBF16. The integer formats quantise: w = scale * q, q symmetric around 0, and the activations of
/// a linear operation likewise to int8, row by row; products are summed in int32 and scaled in f32
/// (weight_kernels.h). kInt8 has one scale for an output channel, and one for a row of activations;
/// the others one for each group of neighbours along K of both (the last group may be shorter): of
/// 32 where the name says so, else of 128. Norms and biases are f32 in every format.
enum class WeightFormat : std::uint8_t {
  kF32,
  kBF16,
  kInt8,
  kInt8Group128,
  kInt8Group32,
  kInt4,
  kInt4Group32
};

constexpr ComputeType compute_type_of(WeightFormat format) {
  return format == WeightFormat::kF32 ? ComputeType::kF32 : ComputeType::kBF16;
}

/// Bits of a weight.
constexpr int bits_of(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return 32;
    case WeightFormat::kBF16:
      return 16;
    case WeightFormat::kInt8:
    case WeightFormat::kInt8Group128:
    case WeightFormat::kInt8Group32:
      return 8;
    case WeightFormat::kInt4:
    case WeightFormat::kInt4Group32:
      break;
  }
  return 4;
}

/// What a matrix is for. The head takes at least 8 bits: with 4-bit weights it is kInt8.
enum class MatrixRole : std::uint8_t { kProjection, kHead };

/// f32 values in device memory. Only a back end looks inside.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::int64_t size() const = 0;  ///< elements
};

/// What packing changed in the weights of one stored type; both sums are 0 where their bits (or
/// their integers and scales) are kept.
struct WeightConversion {
  DType stored = DType::kF32;
  std::int64_t weights = 0;
  double squared_error = 0;  ///< sum (packed - stored)^2
  double squared_size = 0;   ///< sum stored^2
};

/// A weight matrix W [out, in] with an optional bias [out], packed for the back end's kernels.
class Matrix {
 public:
  virtual ~Matrix() = default;
  virtual std::int64_t out_features() const = 0;
  virtual std::int64_t in_features() const = 0;
  virtual std::size_t bytes() const = 0;
  /// One for each stored type of its parts.
  virtual std::span<const WeightConversion> conversions() const = 0;
};

/// Token embeddings, read where they are stored.
class EmbeddingTable {
 public:
  virtual ~EmbeddingTable() = default;
};

struct KvShape {
  std::int64_t layers, kv_heads, head_dim, length;
};

/// K (after RoPE) and V of one request: `length` rows in each of `layers` layers. The length is
/// known when a request starts, so it is one contiguous slab.
class KvSlab {
 public:
  explicit KvSlab(const KvShape& shape) : shape_(shape) {}
  virtual ~KvSlab() = default;
  const KvShape& shape() const { return shape_; }
  std::int64_t length() const { return shape_.length; }
  virtual std::size_t bytes() const = 0;

 private:
  KvShape shape_;
};

/// A stored matrix [rows, columns], row-major; `bias` is empty or has `rows` elements. Rows of a
/// block type are whole blocks.
struct StoredMatrix {
  std::span<const std::byte> data;
  DType dtype = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::span<const std::byte> bias = {};
  DType bias_dtype = DType::kF32;
  /// Above 0: in each of so many heads (rows / interleaved_heads rows, and the bias) rows i and
  /// i + half of the half-split form of RoPE are stored at 2 i and 2 i + 1; pack() puts them back.
  std::int64_t interleaved_heads = 0;
  /// Above 0: this is a share of a matrix that is split over devices, and those that are stacked
  /// have so many rows in all on all of them. What a back end chooses by a matrix's shape, such as
  /// the order of sums, must be what the whole one gets.
  std::int64_t rows_on_all_devices = 0;
};

/// The rows of a ragged batch that belong to one request (sequence); never padded.
struct SequenceRows {
  KvSlab* kv = nullptr;
  Range rows;                               ///< rows of the batch
  std::span<const std::int32_t> positions;  ///< [rows] canvas position = K/V row of each, ascending
  std::span<const Range> attend;            ///< K/V rows that each of them attends
};

/// Attention geometry; also the layout of a projection row: [q: heads * head_dim | k: kv_heads *
/// head_dim | v: kv_heads * head_dim].
struct AttentionShape {
  std::int64_t heads, kv_heads, head_dim;
  std::int64_t row() const { return (heads + 2 * kv_heads) * head_dim; }
};

/// The rows of a batch at one layer of their K/V.
struct LayerRows {
  AttentionShape shape;
  std::span<const SequenceRows> sequences;
  std::int64_t layer = 0;
};

/// An RMS norm of each head of q and k by itself.
struct HeadNorm {
  const Buffer* q_weight = nullptr;  ///< [head_dim]
  const Buffer* k_weight = nullptr;  ///< [head_dim]
  float eps = 0;
};

/// A row for the head: hidden row `row` of x, `unconditional_row` too where cfg_scale > 0.
struct HeadRow {
  std::int32_t row = 0;
  std::int32_t unconditional_row = -1;
  ScoreRequest request;
};

/// The coarse operations that a transformer needs. T = rows in this forward, D = hidden, F = FFN,
/// V = vocabulary. What only some callers need, a back end implements beside it: LogitsBackend,
/// MemoryReader, PeerBackend. All activations are f32 row-major buffers. Every result depends only
/// on its own row's inputs: never on the other rows, their number, or the thread count (bit for
/// bit).
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string description() const = 0;  ///< e.g. "cpu avx512bf16, 2 threads"
  virtual WeightFormat weight_format(MatrixRole role) const = 0;
  /// Bytes that weights, K/V and buffers can still take where this back end keeps them; nullopt
  /// where it cannot tell.
  virtual std::optional<std::uint64_t> available_memory() const = 0;
  /// Memory is taken when it is first written: what was allocated and not yet written still counts
  /// as available.
  virtual bool takes_memory_lazily() const { return false; }

  /// An operation that writes fewer values than a buffer holds may lose the others.
  virtual std::unique_ptr<Buffer> allocate(std::int64_t elements) = 0;
  /// Bytes that such a buffer may take: for estimates before a forward.
  virtual std::size_t buffer_bytes(std::int64_t elements) const {
    return static_cast<std::size_t>(elements) * sizeof(float);
  }
  /// Copies host values (norm weights, RoPE tables) to the device.
  virtual std::unique_ptr<Buffer> upload(std::span<const float> values) = 0;
  /// Packs `parts` stacked along the output axis: [sum of rows, columns], all of equal columns,
  /// in weight_format(role). Values of an integer format that are not finite make their scale NaN.
  virtual std::unique_ptr<Matrix> pack(std::span<const StoredMatrix> parts, MatrixRole role) = 0;
  /// Bytes that pack() will take without a bias: for estimates before loading.
  virtual std::size_t packed_bytes(std::int64_t rows, std::int64_t columns,
                                   MatrixRole role) const = 0;
  /// `table.data` must stay valid as long as the result.
  virtual std::unique_ptr<EmbeddingTable> embedding(const StoredMatrix& table) = 0;
  virtual std::unique_ptr<KvSlab> allocate_kv(const KvShape& shape) = 0;
  virtual std::size_t kv_bytes(const KvShape& shape) const = 0;

  /// x[t] = table[tokens[t]]; x [T, D].
  virtual void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
                     Buffer& x) = 0;
  /// out[t] = x[t] * rsqrt(mean(x[t]^2) + eps) * weight; x, out [rows, D], weight [D].
  virtual void rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                        Buffer& out) = 0;
  /// y = x W^T (+ bias); x [rows, in], y [rows, out].
  virtual void linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) = 0;
  /// y += x W^T (+ bias): the projections that end in the residual stream.
  virtual void linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) = 0;
  /// rms_norm() in place of each head of q and of k in the rows of qkv [rows, shape.row()].
  virtual void head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                         std::int64_t rows) = 0;
  /// RoPE in the half-split form (dims i and i + head_dim/2 are paired) on q and k of every row of
  /// qkv [T, shape.row()], at the rows' positions; q is rotated in place, k and v are stored into
  /// the sequences' slabs at the layer. cos, sin [max position + 1, head_dim / 2].
  virtual void rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin,
                          const LayerRows& rows) = 0;
  /// out[t, h] = softmax(q[t, h] . K^T / sqrt(head_dim)) V over the K/V rows that t's sequence
  /// attends; kv head = h / (heads / kv_heads). qkv as rope_store left it; out [T, heads *
  /// head_dim].
  virtual void attention(const Buffer& qkv, const LayerRows& rows, Buffer& out) = 0;
  /// out[t] = silu(gate_up[t, :F]) * gate_up[t, F:]; gate_up [rows, 2 F], out [rows, F].
  virtual void swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) = 0;
  /// out[i] = x[rows[i]]; columns = D.
  virtual void gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
                      Buffer& out) = 0;
  /// Waits for what was asked for. Scores and copies to the host need no such wait: a forward that
  /// pauses does, since operations may return before they are done.
  virtual void finish() {}
  /// The fused head: logits l = x W^T of the named rows (after the final norm) reduced to a Score
  /// each; a [rows, V] buffer never exists, except that rows with top_p, top_k or
  /// needs_distribution use scratch for a bounded number of rows at a time.
  virtual void head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                           std::span<Score> scores) = 0;
};

struct BackendOptions {
  /// A name of the registry; of GPUs also with the numbers of one or several, which then hold the
  /// model together: "cuda:1", "cuda:0,1".
  std::string device = "cpu";
  WeightFormat weights = WeightFormat::kBF16;
  std::string isa = "auto";  ///< auto | scalar | avx2 | avx512vnni | avx512bf16
  int threads = 0;           ///< 0: one per physical core
  /// cuda: starts a forward that is like one before as one graph; false only to debug.
  bool launch_graphs = true;
  /// The number in `device`, once make_backend() has read it.
  int ordinal = 0;
};

/// Makes the back end `options.device`; kInvalidArgument or kUnsupported naming the known ones, the
/// instruction set that is missing, and so on. Adding one is a line in registry.cpp.
std::unique_ptr<Backend> make_backend(const BackendOptions& options);

}  // namespace fdllm
