#include "backend/cpu/cpu_backend.h"

#include <algorithm>

#include <fmt/format.h>

#include "backend/cpu/attention.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/head.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/thread_count.h"
#include "base/check.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"

namespace fdllm::cpu {
namespace {

constexpr std::int64_t kMaxHeadDim = 1024;

float* data_of(Buffer& buffer) {
  return static_cast<HostBuffer&>(buffer).data();
}
const float* data_of(const Buffer& buffer) {
  return static_cast<const HostBuffer&>(buffer).data();
}

/// `buffer` holds at least rows x columns values.
void check_size(const Buffer& buffer, std::int64_t rows, std::int64_t columns) {
  check(rows >= 0 && columns > 0 && rows <= buffer.size() / columns, "a buffer too small");
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const BackendOptions& options)
      : weights_(options.weights),
        type_(compute_type_of(options.weights)),
        kernels_(select_kernels(options.isa)),
        pool_(thread_count(options.threads)) {}

  std::string description() const override {
    return fmt::format("cpu {}, {} thread{}", kernels_.name, pool_.size(),
                       pool_.size() == 1 ? "" : "s");
  }
  ComputeType compute_type() const override { return type_; }
  WeightFormat weight_format(MatrixRole role) const override {
    return role == MatrixRole::kHead && bits_of(weights_) == 4 ? WeightFormat::kInt8 : weights_;
  }
  /// The rest is for everything else that the process does: stacks, texts, connections.
  std::optional<std::uint64_t> available_memory() const override {
    const std::optional<std::uint64_t> available = fdllm::available_memory();
    if (!available) return std::nullopt;
    return *available - *available / 32;
  }
  bool takes_memory_lazily() const override { return true; }

  std::unique_ptr<Buffer> allocate(std::int64_t elements) override {
    return std::make_unique<HostBuffer>(elements);
  }

  std::unique_ptr<Buffer> upload(std::span<const float> values) override {
    auto buffer = std::make_unique<HostBuffer>(std::ssize(values));
    std::copy(values.begin(), values.end(), buffer->data());
    return buffer;
  }

  void download(const Buffer& buffer, std::span<float> values) const override {
    check(std::ssize(values) <= buffer.size(), "a buffer too small");
    std::copy_n(data_of(buffer), values.size(), values.begin());
  }

  std::unique_ptr<Matrix> pack(std::span<const StoredMatrix> parts, MatrixRole role) override {
    return std::make_unique<PackedMatrix>(parts, gemm_kernels(weight_format(role)), pool_);
  }

  std::size_t packed_bytes(std::int64_t rows, std::int64_t columns,
                           MatrixRole role) const override {
    return PackedMatrix::panel_bytes(rows, columns, gemm_kernels(weight_format(role)));
  }

  std::unique_ptr<EmbeddingTable> embedding(const StoredMatrix& table) override {
    return std::make_unique<StoredEmbedding>(table);
  }

  std::unique_ptr<KvSlab> allocate_kv(const KvShape& shape) override {
    if (shape.head_dim > kMaxHeadDim) {
      fail(ErrorCode::kUnsupported, "head_dim: expected at most {}, found {}", kMaxHeadDim,
           shape.head_dim);
    }
    return std::make_unique<HostKvSlab>(shape, kv_element_bytes());
  }

  std::size_t kv_bytes(const KvShape& shape) const override {
    return HostKvSlab::bytes_for(shape, kv_element_bytes());
  }

  void read_kv(const KvSlab& kv, std::int64_t layer, std::span<const std::int32_t> positions,
               std::span<float> k, std::span<float> v) const override {
    const auto& slab = static_cast<const HostKvSlab&>(kv);
    const std::int64_t row = slab.shape().kv_heads * slab.shape().head_dim;
    check(layer >= 0 && layer < slab.shape().layers, "a layer outside its K/V");
    check(std::ssize(k) == std::ssize(positions) * row && k.size() == v.size(),
          "a buffer of another size than the K/V rows");
    for (std::size_t i = 0; i < positions.size(); ++i) {
      check(positions[i] >= 0 && positions[i] < slab.length(), "a position outside its K/V");
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(i) * row;
      slab.read_row(layer, positions[i], k.data() + at, v.data() + at);
    }
  }

  void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
             Buffer& x) override {
    const auto& stored = static_cast<const StoredEmbedding&>(table);
    check_size(x, std::ssize(tokens), stored.columns());
    for (const std::int32_t token : tokens) {
      check(token >= 0 && token < stored.rows(), "a token outside the embedding table");
    }
    for_rows(std::ssize(tokens), stored.columns(), [&](std::int64_t row) {
      stored.read(tokens[row], data_of(x) + row * stored.columns());
    });
  }

  void rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                Buffer& out) override {
    const std::int64_t columns = weight.size();
    check_size(x, rows, columns);
    check_size(out, rows, columns);
    for_rows(rows, columns, [&](std::int64_t row) {
      kernels_.rms_norm(data_of(x) + row * columns, data_of(weight), eps, columns,
                        data_of(out) + row * columns);
    });
  }

  void linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    multiply(weight, x, rows, y, false);
  }

  void linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    multiply(weight, x, rows, y, true);
  }

  void rope_store(Buffer& qkv, const AttentionShape& shape, const Buffer& cos, const Buffer& sin,
                  std::span<const SequenceRows> sequences, std::int64_t layer) override {
    check_attention(qkv, shape, sequences);
    for (const SequenceRows& sequence : sequences) {
      if (sequence.positions.empty()) continue;
      const std::int64_t last =
          *std::max_element(sequence.positions.begin(), sequence.positions.end());
      check_size(cos, last + 1, shape.head_dim / 2);
      check_size(sin, last + 1, shape.head_dim / 2);
    }
    run_rope_store(pool_, kernels_, type_, data_of(qkv), shape, data_of(cos), data_of(sin),
                   sequences, layer);
  }

  void attention(const Buffer& qkv, const AttentionShape& shape,
                 std::span<const SequenceRows> sequences, std::int64_t layer,
                 Buffer& out) override {
    check_attention(qkv, shape, sequences);
    for (const SequenceRows& sequence : sequences) {
      check_size(out, sequence.rows.end, shape.heads * shape.head_dim);
    }
    attention_.run(pool_, kernels_, type_, data_of(qkv), shape, sequences, layer, data_of(out));
  }

  void swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) override {
    check_size(gate_up, rows, 2 * ffn);
    check_size(out, rows, ffn);
    for_rows(rows, 8 * ffn, [&](std::int64_t row) {
      const float* gate = data_of(gate_up) + row * 2 * ffn;
      kernels_.swiglu(gate, gate + ffn, ffn, data_of(out) + row * ffn);
    });
  }

  void gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
              Buffer& out) override {
    check_size(out, std::ssize(rows), columns);
    for (const std::int32_t row : rows) {
      check(row >= 0, "a negative row");
      check_size(x, std::int64_t{row} + 1, columns);
    }
    for_rows(std::ssize(rows), columns, [&](std::int64_t row) {
      std::copy_n(data_of(x) + rows[row] * columns, columns, data_of(out) + row * columns);
    });
  }

  void join_columns(std::span<const ColumnSlice> slices, std::int64_t rows, Buffer& out) override {
    std::int64_t columns = 0;
    for (const ColumnSlice& slice : slices) {
      check(slice.begin >= 0 && slice.begin < slice.end && slice.end <= slice.columns,
            "columns of a slice");
      check_size(*slice.from, rows, slice.columns);
      columns += slice.end - slice.begin;
    }
    check_size(out, rows, columns);
    for_rows(rows, columns, [&](std::int64_t row) {
      float* to = data_of(out) + row * columns;
      for (const ColumnSlice& slice : slices) {
        to = std::copy_n(data_of(*slice.from) + row * slice.columns + slice.begin,
                         slice.end - slice.begin, to);
      }
    });
  }

  void head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                   std::span<Score> scores) override {
    check(rows.size() == scores.size(), "as many scores as rows");
    for (const HeadRow& row : rows) {
      check(row.row >= 0, "a negative row");
      check_size(x, std::int64_t{row.row} + 1, head.in_features());
      if (row.request.cfg_scale > 0) {
        check(row.unconditional_row >= 0, "a guided row without its unconditional one");
        check_size(x, std::int64_t{row.unconditional_row} + 1, head.in_features());
      }
    }
    head_.scores(pool_, kernels_, static_cast<const PackedMatrix&>(head), data_of(x), rows, scores);
  }

  void head_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                   std::span<float> logits) override {
    check_size(x, rows, head.in_features());
    check(std::ssize(logits) == rows * head.out_features(), "size of the logits");
    run_gemm(pool_, packed_rows_, static_cast<const PackedMatrix&>(head), data_of(x), rows,
             logits.data(), false);
  }

 private:
  const GemmKernels& gemm_kernels(WeightFormat format) const {
    switch (format) {
      case WeightFormat::kF32:
        return kernels_.f32;
      case WeightFormat::kBF16:
        return kernels_.bf16;
      case WeightFormat::kInt8:
        return kernels_.integer.int8;
      case WeightFormat::kInt8Group128:
        return kernels_.integer.int8_g128;
      case WeightFormat::kInt8Group32:
        return kernels_.integer.int8_g32;
      case WeightFormat::kInt4:
        return kernels_.integer.int4;
      case WeightFormat::kInt4Group32:
        return kernels_.integer.int4_g32;
    }
    fail(ErrorCode::kInvalidArgument, "weights: unknown format {}", static_cast<int>(format));
  }
  std::size_t kv_element_bytes() const { return type_ == ComputeType::kF32 ? 4 : 2; }

  /// function(row) for each row, shared among the threads where `columns` values of work each are
  /// worth it.
  template <typename Function>
  void for_rows(std::int64_t rows, std::int64_t columns, Function&& function) {
    const int parts = static_cast<int>(std::min<std::int64_t>(
        std::max<std::int64_t>(rows, 1), parts_for(pool_, 4.0 * double(rows) * double(columns))));
    pool_.run(parts, parts, [&](std::int64_t item, int) noexcept {
      for (std::int64_t row = rows * item / parts; row < rows * (item + 1) / parts; ++row) {
        function(row);
      }
    });
  }

  void multiply(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y, bool add) {
    check_size(x, rows, weight.in_features());
    check_size(y, rows, weight.out_features());
    run_gemm(pool_, packed_rows_, static_cast<const PackedMatrix&>(weight), data_of(x), rows,
             data_of(y), add);
  }

  static void check_attention(const Buffer& qkv, const AttentionShape& shape,
                              std::span<const SequenceRows> sequences) {
    check(shape.kv_heads > 0 && shape.heads > 0 && shape.heads % shape.kv_heads == 0 &&
              shape.head_dim > 0 && shape.head_dim % 2 == 0 && shape.head_dim <= kMaxHeadDim,
          "attention geometry");
    for (const SequenceRows& sequence : sequences) {
      check(sequence.rows.begin >= 0 && sequence.rows.begin <= sequence.rows.end,
            "rows of a sequence");
      check_size(qkv, sequence.rows.end, shape.row());
    }
  }

  WeightFormat weights_;
  ComputeType type_;
  const KernelTable& kernels_;
  ThreadPool pool_;
  PackedRows packed_rows_;
  Attention attention_;
  Head head_;
};

}  // namespace
}  // namespace fdllm::cpu

namespace fdllm {

std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options) {
  return std::make_unique<cpu::CpuBackend>(options);
}

}  // namespace fdllm
