#include "backend/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/gemm.h"
#include "backend/cpu/host_kv_slab.h"
#include "base/round_up.h"

namespace fdllm::cpu {
namespace {

/// Keys of one step of the online softmax.
constexpr std::int64_t kKeyBlock = 256;
/// (query, head) rows that share one pass over the keys.
constexpr int kTaskRows = 48;
/// Padding of score rows, so that they don't collide in the level 1 cache.
constexpr std::int64_t kScoreStride = kKeyBlock + 16;

/// Query rows of one sequence and one K/V head that one thread works on: (row of the sequence, head
/// of the group) pairs [begin, end) in row-major order.
struct Task {
  const SequenceRows* sequence;
  std::int64_t kv_head;
  std::int64_t begin, end;
};

/// The working memory of one thread.
struct Scratch {
  float* scores;   ///< [kTaskRows][kScoreStride]
  float* outputs;  ///< [kTaskRows][padded head_dim]
  float* mask;     ///< [kKeyBlock]
  std::byte* q;    ///< packed queries
  std::byte* p;    ///< packed attention weights of one row tile

  static std::size_t bytes(std::int64_t padded_dim) {
    return static_cast<std::size_t>(kTaskRows * (kScoreStride + 2 * padded_dim) + kKeyBlock +
                                    kMaxTileRows * kKeyBlock) *
           sizeof(float);
  }
  Scratch(std::byte* memory, std::int64_t padded_dim) {
    scores = reinterpret_cast<float*>(memory);
    outputs = scores + kTaskRows * kScoreStride;
    mask = outputs + kTaskRows * padded_dim;
    float* packed_queries = mask + kKeyBlock;
    q = reinterpret_cast<std::byte*>(packed_queries);
    p = reinterpret_cast<std::byte*>(packed_queries + kTaskRows * padded_dim);
  }
};

/// Which of the keys [begin, begin + keys) are attended: 1 or 0 each. Returns how many.
std::int64_t fill_mask(std::span<const Range> attend, std::int64_t begin, std::int64_t keys,
                       float* mask) {
  std::fill_n(mask, keys, 0.0f);
  std::int64_t attended = 0;
  for (const Range& range : attend) {
    const std::int64_t low = std::max<std::int64_t>(range.begin, begin);
    const std::int64_t high = std::min<std::int64_t>(range.end, begin + keys);
    for (std::int64_t key = low; key < high; ++key) {
      attended += mask[key - begin] == 0.0f ? 1 : 0;
      mask[key - begin] = 1.0f;
    }
  }
  return attended;
}

/// A task under way.
struct Pass {
  Pass(const Task& of, const Scratch& memory, const GemmKernels& gemm)
      : task(of),
        slab(*static_cast<const HostKvSlab*>(of.sequence->kv)),
        scratch(memory),
        rows(static_cast<int>(of.end - of.begin)),
        tiles((rows + gemm.max_rows - 1) / gemm.max_rows) {
    std::fill_n(maxima, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sums, rows, 0.0f);
  }
  int first_row(int tile) const { return tile * rows / tiles; }
  int rows_of(int tile) const { return first_row(tile + 1) - first_row(tile); }

  const Task& task;
  const HostKvSlab& slab;
  Scratch scratch;
  int rows, tiles;
  // The keys of this step are [begin, begin + keys).
  std::int64_t begin = 0, keys = 0;
  // Of each row's softmax.
  float maxima[kTaskRows];
  float sums[kTaskRows];
};

class TaskRunner {
 public:
  TaskRunner(const Workers& workers, const LayerRows& rows, const float* qkv, float* out)
      : kernels_(workers.kernels),
        gemm_(workers.type == ComputeType::kF32 ? kernels_.f32 : kernels_.bf16),
        shape_(rows.shape),
        layer_(rows.layer),
        dim_(shape_.head_dim),
        padded_dim_(round_up<std::int64_t>(dim_, kPanelColumns)),
        tile_columns_(std::int64_t{kPanelColumns} * gemm_.max_panels),
        qkv_(qkv),
        out_(out) {}

  void run(const Task& task, const Scratch& scratch) const noexcept {
    Pass pass(task, scratch, gemm_);
    pack_queries(pass);
    std::fill_n(scratch.outputs, pass.rows * padded_dim_, 0.0f);
    for (; pass.begin < pass.slab.padded_length(); pass.begin += kKeyBlock) {
      pass.keys = std::min(kKeyBlock, pass.slab.padded_length() - pass.begin);
      const std::int64_t attended =
          fill_mask(task.sequence->attend, pass.begin, pass.keys, scratch.mask);
      if (attended == 0) continue;
      multiply_keys(pass);
      weigh(pass, attended == pass.keys ? nullptr : scratch.mask);
      add_values(pass);
    }
    for (int row = 0; row < pass.rows; ++row) {
      float* values = scratch.outputs + row * padded_dim_;
      kernels_.scale(values, padded_dim_, 1.0f / pass.sums[row]);
      std::copy_n(values, dim_, output(task, row));
    }
  }

 private:
  void pack_queries(const Pass& pass) const noexcept {
    for (int tile = 0; tile < pass.tiles; ++tile) {
      const float* queries[kMaxTileRows];
      const int first = pass.first_row(tile);
      const int count = pass.rows_of(tile);
      for (int i = 0; i < count; ++i) queries[i] = query(pass.task, first + i);
      gemm_.pack_rows(queries, count, dim_, packed_queries(pass.scratch, first));
    }
  }

  /// scores = Q K^T
  void multiply_keys(const Pass& pass) const noexcept {
    GemmTile qk{};
    qk.panel_stride = pass.slab.k_panel_stride();
    qk.steps = dim_;
    qk.out_stride = kScoreStride;
    for (std::int64_t key = 0; key < pass.keys; key += tile_columns_) {
      qk.w = pass.slab.k(layer_, pass.task.kv_head) +
             (pass.begin + key) / kPanelColumns * qk.panel_stride;
      qk.columns = static_cast<int>(std::min(tile_columns_, pass.keys - key));
      for (int tile = 0; tile < pass.tiles; ++tile) {
        const int first = pass.first_row(tile);
        qk.rows = pass.rows_of(tile);
        qk.a = packed_queries(pass.scratch, first);
        qk.out = pass.scratch.scores + first * kScoreStride + key;
        qk.prefetch = tile == 0 ? kPrefetchAhead : 0;
        gemm_.tile(qk);
      }
    }
  }

  /// Makes weights of the scores, and scales what was summed before to the new maximum. `mask`:
  /// nullptr where all keys are attended.
  void weigh(Pass& pass, const float* mask) const noexcept {
    SoftmaxBlock softmax{};
    softmax.mask = mask;
    softmax.keys = pass.keys;
    softmax.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim_)));
    for (int row = 0; row < pass.rows; ++row) {
      softmax.scores = pass.scratch.scores + row * kScoreStride;
      softmax.maximum = pass.maxima[row];
      softmax.sum = pass.sums[row];
      kernels_.softmax_block(softmax);
      pass.maxima[row] = softmax.maximum;
      pass.sums[row] = softmax.sum;
      if (pass.begin > 0 && softmax.rescale != 1.0f) {
        kernels_.scale(pass.scratch.outputs + row * padded_dim_, padded_dim_, softmax.rescale);
      }
    }
  }

  /// outputs += P V
  void add_values(const Pass& pass) const noexcept {
    GemmTile pv{};
    pv.panel_stride = pass.slab.v_panel_stride();
    pv.steps = pass.keys;
    pv.out_stride = padded_dim_;
    pv.add = 1;
    for (int tile = 0; tile < pass.tiles; ++tile) {
      const float* weights[kMaxTileRows];
      const int first = pass.first_row(tile);
      pv.rows = pass.rows_of(tile);
      for (int i = 0; i < pv.rows; ++i) {
        weights[i] = pass.scratch.scores + (first + i) * kScoreStride;
      }
      gemm_.pack_rows(weights, pv.rows, pass.keys, pass.scratch.p);
      pv.a = pass.scratch.p;
      for (std::int64_t column = 0; column < padded_dim_; column += tile_columns_) {
        pv.w = pass.slab.v(layer_, pass.task.kv_head) + column / kPanelColumns * pv.panel_stride +
               pass.begin * kPanelColumns * gemm_.weight_bits / 8;
        pv.columns = static_cast<int>(std::min(tile_columns_, padded_dim_ - column));
        pv.out = pass.scratch.outputs + first * padded_dim_ + column;
        pv.prefetch = tile == 0 ? kPrefetchAhead : 0;
        gemm_.tile(pv);
      }
    }
  }

  std::int64_t group() const { return shape_.heads / shape_.kv_heads; }
  std::int64_t batch_row(const Task& task, int row) const {
    return task.sequence->rows.begin + (task.begin + row) / group();
  }
  std::int64_t head(const Task& task, int row) const {
    return task.kv_head * group() + (task.begin + row) % group();
  }
  const float* query(const Task& task, int row) const {
    return qkv_ + batch_row(task, row) * shape_.row() + head(task, row) * dim_;
  }
  float* output(const Task& task, int row) const {
    return out_ + (batch_row(task, row) * shape_.heads + head(task, row)) * dim_;
  }
  std::byte* packed_queries(const Scratch& scratch, int first) const {
    return scratch.q + first * dim_ * static_cast<std::int64_t>(gemm_.activation_bytes);
  }

  const KernelTable& kernels_;
  const GemmKernels& gemm_;
  AttentionShape shape_;
  std::int64_t layer_;
  std::int64_t dim_, padded_dim_, tile_columns_;
  const float* qkv_;
  float* out_;
};

}  // namespace

void run_rope_store(const Workers& workers, float* qkv, const float* cos, const float* sin,
                    const LayerRows& of) {
  const KernelTable& kernels = workers.kernels;
  const AttentionShape& shape = of.shape;
  std::int64_t rows = 0;
  for (const SequenceRows& sequence : of.sequences) rows += sequence.rows.size();
  const std::int64_t dim = shape.head_dim;
  const auto store_head = [&](const HostKvSlab& slab, std::int64_t head, std::int64_t position,
                              const float* k, const float* v) {
    if (workers.type == ComputeType::kF32) return slab.store(of.layer, head, position, k, v);
    std::uint16_t k_bits[kMaxHeadDim];
    std::uint16_t v_bits[kMaxHeadDim];
    kernels.round_bf16(k, dim, k_bits);
    kernels.round_bf16(v, dim, v_bits);
    slab.store(of.layer, head, position, k_bits, v_bits);
  };
  // Two rows of the same sequence share cache lines of its slab; heads don't. So threads share out
  // the heads, and each goes over the rows.
  const std::int64_t heads = shape.heads + 2 * shape.kv_heads;
  const int parts = static_cast<int>(std::min<std::int64_t>(
      shape.kv_heads, parts_for(workers.pool, 8.0 * double(rows) * double(heads) * double(dim))));
  const std::int64_t group = shape.heads / shape.kv_heads;
  workers.pool.run(parts, parts, [&](std::int64_t item, int) noexcept {
    const std::int64_t first = shape.kv_heads * item / parts;
    const std::int64_t last = shape.kv_heads * (item + 1) / parts;
    for (const SequenceRows& sequence : of.sequences) {
      const auto& slab = *static_cast<const HostKvSlab*>(sequence.kv);
      for (std::int32_t row = 0; row < sequence.rows.size(); ++row) {
        const std::int64_t position = sequence.positions[row];
        const float* row_cos = cos + position * (dim / 2);
        const float* row_sin = sin + position * (dim / 2);
        float* q = qkv + (sequence.rows.begin + row) * shape.row();
        float* k = q + shape.heads * dim;
        float* v = k + shape.kv_heads * dim;
        for (std::int64_t head = first * group; head < last * group; ++head) {
          kernels.rope(q + head * dim, row_cos, row_sin, dim / 2);
        }
        for (std::int64_t head = first; head < last; ++head) {
          kernels.rope(k + head * dim, row_cos, row_sin, dim / 2);
          store_head(slab, head, position, k + head * dim, v + head * dim);
        }
      }
    }
  });
}

void Attention::run(const Workers& workers, const float* qkv, const LayerRows& of, float* out) {
  const AttentionShape& shape = of.shape;
  const std::int64_t group = shape.heads / shape.kv_heads;
  std::vector<Task> tasks;
  double work = 0;
  for (const SequenceRows& sequence : of.sequences) {
    std::int64_t attended = 0;
    for (const Range& range : sequence.attend) attended += range.size();
    work += double(sequence.rows.size()) * double(attended) * double(shape.heads) *
            double(2 * shape.head_dim);
    const std::int64_t rows = sequence.rows.size() * group;
    if (rows == 0) continue;
    const std::int64_t pieces = (rows + kTaskRows - 1) / kTaskRows;
    for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        tasks.push_back({&sequence, head, rows * piece / pieces, rows * (piece + 1) / pieces});
      }
    }
  }
  if (tasks.empty()) return;
  const int parts =
      static_cast<int>(std::min<std::int64_t>(parts_for(workers.pool, work), std::ssize(tasks)));
  const std::int64_t padded_dim = round_up<std::int64_t>(shape.head_dim, kPanelColumns);
  if (std::ssize(scratch_) < parts) scratch_.resize(static_cast<std::size_t>(parts));
  for (HostMemory& memory : scratch_) memory.reserve(Scratch::bytes(padded_dim), "attention");

  const TaskRunner runner(workers, of, qkv, out);
  workers.pool.run(parts, std::ssize(tasks), [&](std::int64_t task, int part) noexcept {
    runner.run(tasks[task], Scratch(scratch_[part].data(), padded_dim));
  });
}

}  // namespace fdllm::cpu
