#include "backend/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/gemm.h"
#include "base/check.h"

namespace fdllm::cpu {
namespace {

/// Keys of one step of the online softmax.
constexpr std::int64_t kKeyBlock = 256;
/// (query, head) rows that share one pass over the keys.
constexpr int kTaskRows = 48;
/// Padding of score rows, so that they don't collide in the level 1 cache.
constexpr std::int64_t kScoreStride = kKeyBlock + 16;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

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

class TaskRunner {
 public:
  TaskRunner(const KernelTable& kernels, const GemmKernels& gemm, const AttentionShape& shape,
             std::int64_t layer, const float* qkv, float* out)
      : kernels_(kernels), gemm_(gemm), shape_(shape), layer_(layer), qkv_(qkv), out_(out) {}

  void run(const Task& task, Scratch scratch) const noexcept {
    const auto& slab = *static_cast<const HostKvSlab*>(task.sequence->kv);
    const std::int64_t dim = shape_.head_dim;
    const std::int64_t padded_dim = round_up(dim, kPanelColumns);
    const std::int64_t tile_columns = std::int64_t{kPanelColumns} * gemm_.max_panels;
    const auto rows = static_cast<int>(task.end - task.begin);
    const int tiles = (rows + gemm_.max_rows - 1) / gemm_.max_rows;
    const auto first_row = [&](int tile) { return tile * rows / tiles; };

    for (int tile = 0; tile < tiles; ++tile) {
      const float* queries[kMaxTileRows];
      const int first = first_row(tile);
      const int count = first_row(tile + 1) - first;
      for (int i = 0; i < count; ++i) queries[i] = query(task, first + i);
      gemm_.pack_rows(queries, count, dim, packed_queries(scratch, first));
    }
    float maxima[kTaskRows];
    float sums[kTaskRows];
    std::fill_n(maxima, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sums, rows, 0.0f);
    std::fill_n(scratch.outputs, rows * padded_dim, 0.0f);

    for (std::int64_t block = 0; block < slab.padded_length(); block += kKeyBlock) {
      const std::int64_t keys = std::min(kKeyBlock, slab.padded_length() - block);
      const std::int64_t attended = fill_mask(task.sequence->attend, block, keys, scratch.mask);
      if (attended == 0) continue;

      GemmTile qk{};
      qk.panel_stride = slab.k_panel_stride();
      qk.steps = dim;
      qk.out_stride = kScoreStride;
      for (std::int64_t key = 0; key < keys; key += tile_columns) {
        qk.w = slab.k(layer_, task.kv_head) + (block + key) / kPanelColumns * qk.panel_stride;
        qk.columns = static_cast<int>(std::min(tile_columns, keys - key));
        for (int tile = 0; tile < tiles; ++tile) {
          const int first = first_row(tile);
          qk.rows = first_row(tile + 1) - first;
          qk.a = packed_queries(scratch, first);
          qk.out = scratch.scores + first * kScoreStride + key;
          qk.prefetch = tile == 0 ? kPrefetchAhead : 0;
          gemm_.tile(qk);
        }
      }

      SoftmaxBlock softmax{};
      softmax.mask = attended == keys ? nullptr : scratch.mask;
      softmax.keys = keys;
      softmax.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
      for (int row = 0; row < rows; ++row) {
        softmax.scores = scratch.scores + row * kScoreStride;
        softmax.maximum = maxima[row];
        softmax.sum = sums[row];
        kernels_.softmax_block(softmax);
        maxima[row] = softmax.maximum;
        sums[row] = softmax.sum;
        if (block > 0 && softmax.rescale != 1.0f) {
          kernels_.scale(scratch.outputs + row * padded_dim, padded_dim, softmax.rescale);
        }
      }

      GemmTile pv{};
      pv.panel_stride = slab.v_panel_stride();
      pv.steps = keys;
      pv.out_stride = padded_dim;
      pv.add = 1;
      for (int tile = 0; tile < tiles; ++tile) {
        const float* weights[kMaxTileRows];
        const int first = first_row(tile);
        pv.rows = first_row(tile + 1) - first;
        for (int i = 0; i < pv.rows; ++i) weights[i] = scratch.scores + (first + i) * kScoreStride;
        gemm_.pack_rows(weights, pv.rows, keys, scratch.p);
        pv.a = scratch.p;
        for (std::int64_t column = 0; column < padded_dim; column += tile_columns) {
          pv.w = slab.v(layer_, task.kv_head) + column / kPanelColumns * pv.panel_stride +
                 block * kPanelColumns * gemm_.weight_bits / 8;
          pv.columns = static_cast<int>(std::min(tile_columns, padded_dim - column));
          pv.out = scratch.outputs + first * padded_dim + column;
          pv.prefetch = tile == 0 ? kPrefetchAhead : 0;
          gemm_.tile(pv);
        }
      }
    }

    for (int row = 0; row < rows; ++row) {
      float* values = scratch.outputs + row * padded_dim;
      kernels_.scale(values, padded_dim, 1.0f / sums[row]);
      std::copy_n(values, dim, output(task, row));
    }
  }

 private:
  std::int64_t group() const { return shape_.heads / shape_.kv_heads; }
  std::int64_t batch_row(const Task& task, int row) const {
    return task.sequence->rows.begin + (task.begin + row) / group();
  }
  std::int64_t head(const Task& task, int row) const {
    return task.kv_head * group() + (task.begin + row) % group();
  }
  const float* query(const Task& task, int row) const {
    return qkv_ + batch_row(task, row) * shape_.row() + head(task, row) * shape_.head_dim;
  }
  float* output(const Task& task, int row) const {
    return out_ + (batch_row(task, row) * shape_.heads + head(task, row)) * shape_.head_dim;
  }
  std::byte* packed_queries(const Scratch& scratch, int first) const {
    return scratch.q + first * shape_.head_dim * static_cast<std::int64_t>(gemm_.activation_bytes);
  }

  const KernelTable& kernels_;
  const GemmKernels& gemm_;
  const AttentionShape& shape_;
  std::int64_t layer_;
  const float* qkv_;
  float* out_;
};

void check_sequence(const SequenceRows& sequence, const AttentionShape& shape, std::int64_t layer) {
  check(sequence.kv != nullptr, "a sequence without K/V");
  const auto& slab = *static_cast<const HostKvSlab*>(sequence.kv);
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

void store_kv_f32(const HostKvSlab& slab, std::int64_t layer, std::int64_t head,
                  std::int64_t position, const float* k, const float* v) {
  const std::int64_t dim = slab.shape().head_dim;
  const std::int64_t panel = position / kPanelColumns;
  auto* k_out = reinterpret_cast<float*>(slab.k(layer, head) + panel * slab.k_panel_stride()) +
                position % kPanelColumns;
  for (std::int64_t i = 0; i < dim; ++i) k_out[i * kPanelColumns] = k[i];
  for (std::int64_t i = 0; i < dim; i += kPanelColumns) {
    auto* v_out =
        reinterpret_cast<float*>(slab.v(layer, head) + i / kPanelColumns * slab.v_panel_stride());
    std::copy_n(v + i, std::min<std::int64_t>(kPanelColumns, dim - i),
                v_out + position * kPanelColumns);
  }
}

/// k, v: bf16 bits.
void store_kv_bf16(const HostKvSlab& slab, std::int64_t layer, std::int64_t head,
                   std::int64_t position, const std::uint16_t* k, const std::uint16_t* v) {
  const std::int64_t dim = slab.shape().head_dim;
  const std::int64_t panel = position / kPanelColumns;
  auto* k_out =
      reinterpret_cast<std::uint16_t*>(slab.k(layer, head) + panel * slab.k_panel_stride()) +
      2 * (position % kPanelColumns);
  for (std::int64_t i = 0; i < dim; i += 2) {
    k_out[i * kPanelColumns] = k[i];
    k_out[i * kPanelColumns + 1] = k[i + 1];
  }
  for (std::int64_t i = 0; i < dim; i += kPanelColumns) {
    auto* v_out = reinterpret_cast<std::uint16_t*>(slab.v(layer, head) +
                                                   i / kPanelColumns * slab.v_panel_stride()) +
                  position / 2 * 2 * kPanelColumns + position % 2;
    const std::int64_t count = std::min<std::int64_t>(kPanelColumns, dim - i);
    for (std::int64_t j = 0; j < count; ++j) v_out[2 * j] = v[i + j];
  }
}

}  // namespace

HostKvSlab::HostKvSlab(const KvShape& shape, std::size_t element_bytes)
    : shape_(shape),
      element_bytes_(static_cast<std::int64_t>(element_bytes)),
      padded_length_(round_up(shape.length, kPanelColumns)),
      padded_dim_(round_up(shape.head_dim, kPanelColumns)) {
  check(shape.layers > 0 && shape.kv_heads > 0 && shape.length > 0 && shape.head_dim > 0 &&
            shape.head_dim % 2 == 0,
        "shape of K/V");
  memory_ = HostMemory(bytes_for(shape, element_bytes), "K/V cache");
}

std::size_t HostKvSlab::bytes_for(const KvShape& shape, std::size_t element_bytes) {
  const std::int64_t row = shape.head_dim + round_up(shape.head_dim, kPanelColumns);
  return static_cast<std::size_t>(shape.layers * shape.kv_heads *
                                  round_up(shape.length, kPanelColumns) * row) *
         element_bytes;
}

std::byte* HostKvSlab::k(std::int64_t layer, std::int64_t head) const {
  return memory_.data() + (layer * shape_.kv_heads + head) * padded_length_ *
                              (shape_.head_dim + padded_dim_) * element_bytes_;
}

std::byte* HostKvSlab::v(std::int64_t layer, std::int64_t head) const {
  return k(layer, head) + padded_length_ * shape_.head_dim * element_bytes_;
}

std::ptrdiff_t HostKvSlab::k_panel_stride() const {
  return shape_.head_dim * kPanelColumns * element_bytes_;
}

std::ptrdiff_t HostKvSlab::v_panel_stride() const {
  return padded_length_ * kPanelColumns * element_bytes_;
}

void HostKvSlab::read_row(std::int64_t layer, std::int64_t position, float* k, float* v) const {
  const std::int64_t panel = position / kPanelColumns;
  const std::int64_t column = position % kPanelColumns;
  for (std::int64_t head = 0; head < shape_.kv_heads; ++head) {
    const std::byte* k_panel = this->k(layer, head) + panel * k_panel_stride();
    for (std::int64_t i = 0; i < shape_.head_dim; ++i) {
      const std::byte* v_panel = this->v(layer, head) + i / kPanelColumns * v_panel_stride();
      const std::int64_t v_column = i % kPanelColumns;
      float& k_out = k[head * shape_.head_dim + i];
      float& v_out = v[head * shape_.head_dim + i];
      if (element_bytes_ == sizeof(float)) {
        k_out = reinterpret_cast<const float*>(k_panel)[i * kPanelColumns + column];
        v_out = reinterpret_cast<const float*>(v_panel)[position * kPanelColumns + v_column];
      } else {  // pairs of the inner dimension lie side by side
        const auto* k_bits = reinterpret_cast<const std::uint16_t*>(k_panel);
        const auto* v_bits = reinterpret_cast<const std::uint16_t*>(v_panel);
        k_out = to_float(bf16{k_bits[(i / 2 * kPanelColumns + column) * 2 + i % 2]});
        v_out =
            to_float(bf16{v_bits[(position / 2 * kPanelColumns + v_column) * 2 + position % 2]});
      }
    }
  }
}

void run_rope_store(ThreadPool& pool, const KernelTable& kernels, ComputeType type, float* qkv,
                    const AttentionShape& shape, const float* cos, const float* sin,
                    std::span<const SequenceRows> sequences, std::int64_t layer) {
  std::int64_t rows = 0;
  for (const SequenceRows& sequence : sequences) {
    check_sequence(sequence, shape, layer);
    rows += sequence.rows.size();
  }
  const std::int64_t dim = shape.head_dim;
  const auto store_head = [&](const HostKvSlab& slab, std::int64_t head, std::int64_t position,
                              const float* k, const float* v) {
    if (type == ComputeType::kF32) {
      store_kv_f32(slab, layer, head, position, k, v);
      return;
    }
    constexpr std::int64_t kMaxHeadDim = 1024;
    std::uint16_t k_bits[kMaxHeadDim];
    std::uint16_t v_bits[kMaxHeadDim];
    kernels.round_bf16(k, dim, k_bits);
    kernels.round_bf16(v, dim, v_bits);
    store_kv_bf16(slab, layer, head, position, k_bits, v_bits);
  };
  // Two rows of the same sequence share cache lines of its slab; heads don't. So threads share out
  // the heads, and each goes over the rows.
  const std::int64_t heads = shape.heads + 2 * shape.kv_heads;
  const int parts = static_cast<int>(std::min<std::int64_t>(
      shape.kv_heads, parts_for(pool, 8.0 * double(rows) * double(heads) * double(dim))));
  const std::int64_t group = shape.heads / shape.kv_heads;
  pool.run(parts, parts, [&](std::int64_t item, int) noexcept {
    const std::int64_t first = shape.kv_heads * item / parts;
    const std::int64_t last = shape.kv_heads * (item + 1) / parts;
    for (const SequenceRows& sequence : sequences) {
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

void Attention::run(ThreadPool& pool, const KernelTable& kernels, ComputeType type,
                    const float* qkv, const AttentionShape& shape,
                    std::span<const SequenceRows> sequences, std::int64_t layer, float* out) {
  const GemmKernels& gemm = type == ComputeType::kF32 ? kernels.f32 : kernels.bf16;
  const std::int64_t group = shape.heads / shape.kv_heads;
  std::vector<Task> tasks;
  double work = 0;
  for (const SequenceRows& sequence : sequences) {
    check_sequence(sequence, shape, layer);
    std::int64_t attended = 0;
    for (const Range& range : sequence.attend) attended += range.size();
    check(attended > 0 || sequence.rows.size() == 0, "a sequence that attends nothing");
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
      static_cast<int>(std::min<std::int64_t>(parts_for(pool, work), std::ssize(tasks)));
  const std::int64_t padded_dim = round_up(shape.head_dim, kPanelColumns);
  if (std::ssize(scratch_) < parts) scratch_.resize(static_cast<std::size_t>(parts));
  for (HostMemory& memory : scratch_) memory.reserve(Scratch::bytes(padded_dim), "attention");

  const TaskRunner runner(kernels, gemm, shape, layer, qkv, out);
  pool.run(parts, std::ssize(tasks), [&](std::int64_t task, int part) noexcept {
    runner.run(tasks[task], Scratch(scratch_[part].data(), padded_dim));
  });
}

}  // namespace fdllm::cpu
