#include "backend/tensor_parallel/tensor_parallel_backend.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/argument_checks.h"
#include "backend/logits_backend.h"
#include "backend/memory_reader.h"
#include "backend/tensor_parallel/column_layout.h"
#include "backend/tensor_parallel/device_group.h"
#include "backend/tensor_parallel/parallel_buffer.h"
#include "backend/tensor_parallel/parallel_kv_slab.h"
#include "backend/tensor_parallel/parallel_weights.h"
#include "base/check.h"

namespace fdllm {
namespace tensor_parallel {
namespace {

const ParallelBuffer& parallel(const Buffer& buffer) {
  return static_cast<const ParallelBuffer&>(buffer);
}
ParallelBuffer& parallel(Buffer& buffer) {
  return static_cast<ParallelBuffer&>(buffer);
}

/// Rows of a batch from its first to the last of a sequence.
std::int64_t rows_of(std::span<const SequenceRows> sequences) {
  std::int64_t rows = 0;
  for (const SequenceRows& sequence : sequences) {
    check(sequence.rows.begin >= 0 && sequence.rows.begin <= sequence.rows.end,
          "rows of a sequence");
    rows = std::max<std::int64_t>(rows, sequence.rows.end);
  }
  return rows;
}

class TensorParallelBackend final : public Backend, public MemoryReader, public LogitsBackend {
 public:
  explicit TensorParallelBackend(std::vector<std::unique_ptr<Backend>> devices)
      : group_(std::move(devices)) {}

  std::string description() const override {
    std::string names;
    for (int device = 0; device < group_.size(); ++device) {
      names += (device == 0 ? "" : " + ") + group_[device].description();
    }
    return names + ", tensor parallel";
  }
  WeightFormat weight_format(MatrixRole role) const override {
    return group_[0].weight_format(role);
  }
  /// So that what is estimated for all devices together fits the one that has least.
  std::optional<std::uint64_t> available_memory() const override {
    std::optional<std::uint64_t> least = group_[0].available_memory();
    for (int device = 1; least && device < group_.size(); ++device) {
      const std::optional<std::uint64_t> other = group_[device].available_memory();
      least = other ? std::optional(std::min(*least, *other)) : std::nullopt;
    }
    if (!least) return std::nullopt;
    return *least * static_cast<std::uint64_t>(group_.size());
  }
  bool takes_memory_lazily() const override { return group_[0].takes_memory_lazily(); }

  std::unique_ptr<Buffer> allocate(std::int64_t elements) override {
    return std::make_unique<ParallelBuffer>(group_, elements);
  }
  /// Whole on every device, and once more in shares.
  std::size_t buffer_bytes(std::int64_t elements) const override {
    return group_[0].buffer_bytes(elements) * static_cast<std::size_t>(group_.size() + 1);
  }
  std::unique_ptr<Buffer> upload(std::span<const float> values) override {
    return std::make_unique<ParallelBuffer>(group_, values);
  }
  void download(const Buffer& buffer, std::span<float> values) const override {
    parallel(buffer).make_whole();
    MemoryReader::of(group_[0]).download(parallel(buffer).whole(0), values);
  }

  std::unique_ptr<Matrix> pack(std::span<const StoredMatrix> parts, MatrixRole role) override {
    return std::make_unique<ParallelMatrix>(group_, parts, role);
  }
  std::size_t packed_bytes(std::int64_t rows, std::int64_t columns,
                           MatrixRole role) const override {
    std::size_t bytes = 0;
    for (int device = 0; device < group_.size(); ++device) {
      const ColumnRange share = ColumnLayout::share({rows}, device, group_.size());
      bytes += group_[device].packed_bytes(role == MatrixRole::kHead ? rows : share.size(), columns,
                                           role);
    }
    return bytes;
  }
  std::unique_ptr<EmbeddingTable> embedding(const StoredMatrix& table) override {
    return std::make_unique<ParallelEmbedding>(group_, table);
  }

  std::unique_ptr<KvSlab> allocate_kv(const KvShape& shape) override {
    const KvShape own = share_of(shape);
    std::vector<std::unique_ptr<KvSlab>> slabs;
    for (int device = 0; device < group_.size(); ++device) {
      slabs.push_back(group_[device].allocate_kv(own));
    }
    return std::make_unique<ParallelKvSlab>(shape, std::move(slabs));
  }
  std::size_t kv_bytes(const KvShape& shape) const override {
    return group_[0].kv_bytes(share_of(shape)) * static_cast<std::size_t>(group_.size());
  }
  void read_kv(const KvSlab& kv, std::int64_t layer, std::span<const std::int32_t> positions,
               std::span<float> k, std::span<float> v) const override {
    const auto& slab = static_cast<const ParallelKvSlab&>(kv);
    const std::int64_t row = slab.shape().kv_heads * slab.shape().head_dim;
    const std::int64_t own_row = row / group_.size();
    check_read_kv(slab.shape(), layer, positions, k, v);
    std::vector<float> own_k(static_cast<std::size_t>(std::ssize(positions) * own_row));
    std::vector<float> own_v = own_k;
    for (int device = 0; device < group_.size(); ++device) {
      MemoryReader::of(group_[device]).read_kv(*slab.on(device), layer, positions, own_k, own_v);
      for (std::ptrdiff_t i = 0; i < std::ssize(positions); ++i) {
        const std::ptrdiff_t to = i * row + device * own_row;
        std::copy_n(own_k.begin() + i * own_row, own_row, k.begin() + to);
        std::copy_n(own_v.begin() + i * own_row, own_row, v.begin() + to);
      }
    }
  }

  void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
             Buffer& x) override {
    parallel(x).write_whole();
    for (int device = 0; device < group_.size(); ++device) {
      group_[device].embed(static_cast<const ParallelEmbedding&>(table).on(device), tokens,
                           parallel(x).whole(device));
    }
  }

  void rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                Buffer& out) override {
    parallel(x).make_whole();
    parallel(weight).make_whole();
    parallel(out).write_whole();
    for (int device = 0; device < group_.size(); ++device) {
      group_[device].rms_norm(parallel(x).whole(device), parallel(weight).whole(device), eps, rows,
                              parallel(out).whole(device));
    }
  }

  void linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    check_product(weight, x, rows, y);
    if (rows == 0) return;
    const auto& matrix = static_cast<const ParallelMatrix&>(weight);
    parallel(x).make_whole();
    matrix.is_split() ? parallel(y).write_split(matrix.layout(), rows) : parallel(y).write_whole();
    for_products(matrix, y, [&](int device, Buffer& own) {
      group_[device].linear(*matrix.on(device), parallel(x).whole(device), rows, own);
    });
  }

  void linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    check_product(weight, x, rows, y);
    if (rows == 0) return;
    const auto& matrix = static_cast<const ParallelMatrix&>(weight);
    parallel(x).make_whole();
    if (matrix.is_split()) {
      parallel(y).make_split(matrix.layout(), rows);
      parallel(y).change_split();
    } else {
      parallel(y).make_whole();
      parallel(y).write_whole();
    }
    for_products(matrix, y, [&](int device, Buffer& own) {
      group_[device].linear_add(*matrix.on(device), parallel(x).whole(device), rows, own);
    });
  }

  void head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                 std::int64_t rows) override {
    const AttentionShape own = share_of(shape);
    check_size(qkv, rows, shape.row());
    if (rows == 0) return;
    parallel(*norm.q_weight).make_whole();
    parallel(*norm.k_weight).make_whole();
    parallel(qkv).make_split(projections(shape), rows);
    parallel(qkv).change_split();
    for (int device = 0; device < group_.size(); ++device) {
      group_[device].head_norm(parallel(qkv).share(device), own,
                               {.q_weight = &parallel(*norm.q_weight).whole(device),
                                .k_weight = &parallel(*norm.k_weight).whole(device),
                                .eps = norm.eps},
                               rows);
    }
  }

  void rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin, const LayerRows& of) override {
    const AttentionShape own = share_of(of.shape);
    const std::int64_t rows = rows_of(of.sequences);
    check_size(qkv, rows, of.shape.row());
    if (rows == 0) return;
    parallel(cos).make_whole();
    parallel(sin).make_whole();
    parallel(qkv).make_split(projections(of.shape), rows);
    parallel(qkv).change_split();
    for (int device = 0; device < group_.size(); ++device) {
      group_[device].rope_store(parallel(qkv).share(device), parallel(cos).whole(device),
                                parallel(sin).whole(device),
                                {own, sequences_on(device, of.sequences), of.layer});
    }
  }

  void attention(const Buffer& qkv, const LayerRows& of, Buffer& out) override {
    const AttentionShape& shape = of.shape;
    const AttentionShape own = share_of(shape);
    const std::int64_t width = shape.heads * shape.head_dim;
    const std::int64_t rows = rows_of(of.sequences);
    check_size(qkv, rows, shape.row());
    check_size(out, rows, width);
    if (rows == 0) return;
    parallel(qkv).make_split(projections(shape), rows);
    parallel(out).write_split(ColumnLayout({{width, shape.head_dim}}, group_.size()), rows);
    for (int device = 0; device < group_.size(); ++device) {
      group_[device].attention(parallel(qkv).share(device),
                               {own, sequences_on(device, of.sequences), of.layer},
                               parallel(out).share(device));
    }
  }

  void swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) override {
    check_size(gate_up, rows, 2 * ffn);
    check_size(out, rows, ffn);
    if (rows == 0) return;
    const ColumnLayout layout({{ffn}}, group_.size());
    parallel(gate_up).make_split(ColumnLayout({{ffn}, {ffn}}, group_.size()), rows);
    parallel(out).write_split(layout, rows);
    for (int device = 0; device < group_.size(); ++device) {
      if (layout.columns_of(device) == 0) continue;
      group_[device].swiglu(parallel(gate_up).share(device), rows, layout.columns_of(device),
                            parallel(out).share(device));
    }
  }

  /// What is split stays so.
  void gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
              Buffer& out) override {
    check_size(out, std::ssize(rows), columns);
    if (rows.empty()) return;
    const std::int64_t last = *std::ranges::max_element(rows);
    check_size(x, last + 1, columns);
    if (!parallel(x).is_split(columns, last + 1)) {
      parallel(x).make_whole();
      parallel(out).write_whole();
      for (int device = 0; device < group_.size(); ++device) {
        group_[device].gather(parallel(x).whole(device), rows, columns,
                              parallel(out).whole(device));
      }
      return;
    }
    const ColumnLayout& layout = parallel(x).layout();
    parallel(out).write_split(layout, std::ssize(rows));
    for (int device = 0; device < group_.size(); ++device) {
      if (layout.columns_of(device) == 0) continue;
      group_[device].gather(parallel(x).share(device), rows, layout.columns_of(device),
                            parallel(out).share(device));
    }
  }

  void finish() override {
    for (int device = 0; device < group_.size(); ++device) group_[device].finish();
  }

  void head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                   std::span<Score> scores) override {
    const auto& matrix = static_cast<const ParallelMatrix&>(head);
    check(!matrix.is_split(), "a head that is packed as one");
    check(rows.size() == scores.size(), "as many scores as rows");
    parallel(x).make_whole();
    group_.run_at_once([&](int device) {
      const ColumnRange share = ColumnLayout::share({std::ssize(rows)}, device, group_.size());
      const auto first = static_cast<std::size_t>(share.begin);
      const auto count = static_cast<std::size_t>(share.size());
      if (count == 0) return;
      group_[device].head_scores(*matrix.on(device), parallel(x).whole(device),
                                 rows.subspan(first, count), scores.subspan(first, count));
    });
  }

  void head_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                   std::span<float> logits) override {
    const auto& matrix = static_cast<const ParallelMatrix&>(head);
    check(!matrix.is_split(), "a head that is packed as one");
    parallel(x).make_whole();
    LogitsBackend::of(group_[0]).head_logits(*matrix.on(0), parallel(x).whole(0), rows, logits);
  }

 private:
  /// function(device, y there) for the devices that have columns of the matrix.
  template <typename Function>
  void for_products(const ParallelMatrix& matrix, const Buffer& y, Function&& function) {
    for (int device = 0; device < group_.size(); ++device) {
      if (matrix.on(device) == nullptr) continue;
      function(device, matrix.is_split() ? parallel(y).share(device) : parallel(y).whole(device));
    }
  }

  ColumnLayout projections(const AttentionShape& shape) const {
    const ColumnPart q{shape.heads * shape.head_dim, shape.head_dim};
    const ColumnPart kv{shape.kv_heads * shape.head_dim, shape.head_dim};
    return ColumnLayout({q, kv, kv}, group_.size());
  }

  KvShape share_of(KvShape shape) const {
    if (shape.kv_heads % group_.size() != 0) {
      fail(ErrorCode::kUnsupported,
           "device: {} devices need a model whose number of K/V heads they divide, this one has "
           "{}; give fewer devices",
           group_.size(), shape.kv_heads);
    }
    shape.kv_heads /= group_.size();
    return shape;
  }

  AttentionShape share_of(AttentionShape shape) const {
    check(shape.heads > 0 && shape.kv_heads > 0 && shape.head_dim > 0 &&
              shape.heads % shape.kv_heads == 0 && shape.kv_heads % group_.size() == 0,
          "attention geometry");
    shape.heads /= group_.size();
    shape.kv_heads /= group_.size();
    return shape;
  }

  mutable DeviceGroup group_;  // download() may have to make values whole
};

}  // namespace
}  // namespace tensor_parallel

std::unique_ptr<Backend> make_tensor_parallel_backend(
    std::vector<std::unique_ptr<Backend>> devices) {
  check(devices.size() >= 2, "several devices");
  return std::make_unique<tensor_parallel::TensorParallelBackend>(std::move(devices));
}

}  // namespace fdllm
