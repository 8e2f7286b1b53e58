#include "backend/cpu/cpu_backend.h"

#include <algorithm>

#include <fmt/format.h>

#include "backend/argument_checks.h"
#include "backend/cpu/attention.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/head.h"
#include "backend/cpu/host_kv_slab.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/thread_count.h"
#include "backend/logits_backend.h"
#include "backend/memory_reader.h"
#include "backend/peer_backend.h"
#include "base/check.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"

namespace fdllm::cpu {
namespace {

float* data_of(Buffer& buffer) {
  return static_cast<HostBuffer&>(buffer).data();
}
const float* data_of(const Buffer& buffer) {
  return static_cast<const HostBuffer&>(buffer).data();
}

class CpuBackend final : public PeerBackend, public MemoryReader, public LogitsBackend {
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
    check_download(buffer, values);
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
    return std::make_unique<HostKvSlab>(shape, kv_element_bytes());
  }

  std::size_t kv_bytes(const KvShape& shape) const override {
    return HostKvSlab::bytes_for(shape, kv_element_bytes());
  }

  void read_kv(const KvSlab& kv, std::int64_t layer, std::span<const std::int32_t> positions,
               std::span<float> k, std::span<float> v) const override {
    const auto& slab = static_cast<const HostKvSlab&>(kv);
    check_read_kv(slab.shape(), layer, positions, k, v);
    const std::int64_t row = slab.shape().kv_heads * slab.shape().head_dim;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(i) * row;
      slab.read_row(layer, positions[i], k.data() + at, v.data() + at);
    }
  }

  void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
             Buffer& x) override {
    const auto& stored = static_cast<const StoredEmbedding&>(table);
    check_size(x, std::ssize(tokens), stored.columns());
    check_tokens(tokens, stored.rows());
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

  void head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                 std::int64_t rows) override {
    check_head_norm(qkv, shape, norm, rows);
    for_rows(rows, shape.row(), [&](std::int64_t row) {
      float* head = data_of(qkv) + row * shape.row();
      for (std::int64_t i = 0; i < shape.heads + shape.kv_heads; ++i, head += shape.head_dim) {
        const Buffer& weight = i < shape.heads ? *norm.q_weight : *norm.k_weight;
        kernels_.rms_norm(head, data_of(weight), norm.eps, shape.head_dim, head);
      }
    });
  }

  void rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin,
                  const LayerRows& rows) override {
    check_rope(qkv, cos, sin, rows);
    run_rope_store(workers(), data_of(qkv), data_of(cos), data_of(sin), rows);
  }

  void attention(const Buffer& qkv, const LayerRows& rows, Buffer& out) override {
    check_attention(qkv, rows, out);
    attention_.run(workers(), data_of(qkv), rows, data_of(out));
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
    check_gather(x, rows, columns, out);
    for_rows(std::ssize(rows), columns, [&](std::int64_t row) {
      std::copy_n(data_of(x) + rows[row] * columns, columns, data_of(out) + row * columns);
    });
  }

  void join_columns(std::span<const ColumnSlice> slices, std::int64_t rows, Buffer& out) override {
    const std::int64_t columns = check_slices(slices, rows, out);
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
    check_head_rows(head, x, rows, scores);
    head_.scores(workers(), static_cast<const PackedMatrix&>(head), data_of(x), rows, scores);
  }

  void head_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                   std::span<float> logits) override {
    check_logits(head, x, rows, logits);
    run_gemm(pool_, packed_rows_,
             {static_cast<const PackedMatrix&>(head), data_of(x), rows, logits.data()});
  }

 private:
  Workers workers() { return {pool_, kernels_, type_}; }
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
    check_product(weight, x, rows, y);
    run_gemm(pool_, packed_rows_,
             {static_cast<const PackedMatrix&>(weight), data_of(x), rows, data_of(y), add});
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
