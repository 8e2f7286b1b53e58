#include "bench/timed_backend.h"

#include <chrono>
#include <utility>

namespace fdllm::bench {
namespace {

PeakType type_of(WeightFormat format) {
  if (format == WeightFormat::kF32) return PeakType::kF32;
  return format == WeightFormat::kBF16 ? PeakType::kBF16 : PeakType::kInt8;
}

std::int64_t attended_rows(const SequenceRows& sequence) {
  std::int64_t rows = 0;
  for (const Range& range : sequence.attend) rows += range.size();
  return rows;
}

}  // namespace

TimedBackend::TimedBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

template <typename Function>
OperationCost& TimedBackend::timed(Operation operation, Function&& function) {
  if (!timing_) {
    function();
    return unused_;
  }
  const auto begin = std::chrono::steady_clock::now();
  function();
  inner_->finish();
  const auto end = std::chrono::steady_clock::now();
  OperationCost& cost = cost_of(costs_, operation);
  cost.seconds += std::chrono::duration<double>(end - begin).count();
  ++cost.calls;
  return cost;
}

void TimedBackend::add_product(OperationCost& cost, const Matrix& weight, std::int64_t rows,
                               MatrixRole role) const {
  cost.flops += 2.0 * static_cast<double>(rows) * static_cast<double>(weight.in_features()) *
                static_cast<double>(weight.out_features());
  cost.bytes += static_cast<double>(weight.bytes());
  cost.type = type_of(inner_->weight_format(role));
}

std::string TimedBackend::description() const {
  return inner_->description();
}
WeightFormat TimedBackend::weight_format(MatrixRole role) const {
  return inner_->weight_format(role);
}
std::optional<std::uint64_t> TimedBackend::available_memory() const {
  return inner_->available_memory();
}
std::unique_ptr<Buffer> TimedBackend::allocate(std::int64_t elements) {
  return inner_->allocate(elements);
}
std::size_t TimedBackend::buffer_bytes(std::int64_t elements) const {
  return inner_->buffer_bytes(elements);
}
std::unique_ptr<Buffer> TimedBackend::upload(std::span<const float> values) {
  return inner_->upload(values);
}
std::unique_ptr<Matrix> TimedBackend::pack(std::span<const StoredMatrix> parts, MatrixRole role) {
  return inner_->pack(parts, role);
}
std::size_t TimedBackend::packed_bytes(std::int64_t rows, std::int64_t columns,
                                       MatrixRole role) const {
  return inner_->packed_bytes(rows, columns, role);
}
std::unique_ptr<EmbeddingTable> TimedBackend::embedding(const StoredMatrix& table) {
  return inner_->embedding(table);
}
std::unique_ptr<KvSlab> TimedBackend::allocate_kv(const KvShape& shape) {
  auto kv = inner_->allocate_kv(shape);
  last_kv_ = kv.get();
  return kv;
}
std::size_t TimedBackend::kv_bytes(const KvShape& shape) const {
  return inner_->kv_bytes(shape);
}

void TimedBackend::embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
                         Buffer& x) {
  stage_ = Stage::kBeforeAttention;
  timed(Operation::kEmbed, [&] { inner_->embed(table, tokens, x); });
}

void TimedBackend::rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                            Buffer& out) {
  timed(Operation::kNorms, [&] { inner_->rms_norm(x, weight, eps, rows, out); });
}

void TimedBackend::linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) {
  const Operation operation =
      stage_ == Stage::kAfterAttention ? Operation::kGateUp : Operation::kQkv;
  OperationCost& cost = timed(operation, [&] { inner_->linear(weight, x, rows, y); });
  add_product(cost, weight, rows, MatrixRole::kProjection);
}

void TimedBackend::linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) {
  const Operation operation =
      stage_ == Stage::kAfterSwiglu ? Operation::kDown : Operation::kAttentionOut;
  OperationCost& cost = timed(operation, [&] { inner_->linear_add(weight, x, rows, y); });
  add_product(cost, weight, rows, MatrixRole::kProjection);
}

void TimedBackend::head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                             std::int64_t rows) {
  timed(Operation::kNorms, [&] { inner_->head_norm(qkv, shape, norm, rows); });
}

void TimedBackend::rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin,
                              const LayerRows& rows) {
  timed(Operation::kRopeStore, [&] { inner_->rope_store(qkv, cos, sin, rows); });
}

void TimedBackend::attention(const Buffer& qkv, const LayerRows& rows, Buffer& out) {
  OperationCost& cost = timed(Operation::kAttention, [&] { inner_->attention(qkv, rows, out); });
  const AttentionShape& shape = rows.shape;
  stage_ = Stage::kAfterAttention;
  const bool is_f32 = inner_->weight_format(MatrixRole::kProjection) == WeightFormat::kF32;
  cost.type = is_f32 ? PeakType::kF32 : PeakType::kBF16;
  const double element = is_f32 ? 4 : 2;
  for (const SequenceRows& sequence : rows.sequences) {
    if (sequence.rows.size() == 0) continue;
    const double pairs =
        static_cast<double>(sequence.rows.size()) * static_cast<double>(attended_rows(sequence));
    cost.flops += 4.0 * pairs * static_cast<double>(shape.heads * shape.head_dim);
    cost.bytes += 2.0 * element * static_cast<double>(attended_rows(sequence)) *
                  static_cast<double>(shape.kv_heads * shape.head_dim);
  }
}

void TimedBackend::swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) {
  timed(Operation::kSwiglu, [&] { inner_->swiglu(gate_up, rows, ffn, out); });
  stage_ = Stage::kAfterSwiglu;
}

void TimedBackend::gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
                          Buffer& out) {
  timed(Operation::kGather, [&] { inner_->gather(x, rows, columns, out); });
}

void TimedBackend::finish() {
  inner_->finish();
}

void TimedBackend::head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                               std::span<Score> scores) {
  OperationCost& cost =
      timed(Operation::kHead, [&] { inner_->head_scores(head, x, rows, scores); });
  std::int64_t products = 0;
  for (const HeadRow& row : rows) products += row.request.cfg_scale > 0 ? 2 : 1;
  add_product(cost, head, products, MatrixRole::kHead);
}

}  // namespace fdllm::bench
