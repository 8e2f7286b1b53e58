#pragma once
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "base/check.h"

namespace fdllm {

/// A back end that hands every call on to another, and fails when it is told to.
class FailingBackend final : public Backend {
 public:
  explicit FailingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  enum class Fault : std::uint8_t { kNone, kNoMemory, kBroken };
  /// After `operations` more operations of forwards, `fault` strikes: once, or from then on.
  void fail_after(std::int64_t operations, Fault fault, bool for_ever = false) {
    left_ = operations;
    fault_ = fault;
    for_ever_ = for_ever;
  }
  /// What available_memory() says, whatever is allocated.
  void set_available(std::optional<std::uint64_t> bytes) { available_ = bytes; }

  std::string description() const override { return inner_->description(); }
  WeightFormat weight_format(MatrixRole role) const override { return inner_->weight_format(role); }
  std::optional<std::uint64_t> available_memory() const override { return available_; }
  bool takes_memory_lazily() const override { return inner_->takes_memory_lazily(); }
  std::unique_ptr<Buffer> allocate(std::int64_t elements) override {
    return inner_->allocate(elements);
  }
  std::size_t buffer_bytes(std::int64_t elements) const override {
    return inner_->buffer_bytes(elements);
  }
  std::unique_ptr<Buffer> upload(std::span<const float> values) override {
    return inner_->upload(values);
  }
  std::unique_ptr<Matrix> pack(std::span<const StoredMatrix> parts, MatrixRole role) override {
    return inner_->pack(parts, role);
  }
  std::size_t packed_bytes(std::int64_t rows, std::int64_t columns,
                           MatrixRole role) const override {
    return inner_->packed_bytes(rows, columns, role);
  }
  std::unique_ptr<EmbeddingTable> embedding(const StoredMatrix& table) override {
    return inner_->embedding(table);
  }
  std::unique_ptr<KvSlab> allocate_kv(const KvShape& shape) override {
    return inner_->allocate_kv(shape);
  }
  std::size_t kv_bytes(const KvShape& shape) const override { return inner_->kv_bytes(shape); }
  void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
             Buffer& x) override {
    operate();
    inner_->embed(table, tokens, x);
  }
  void rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                Buffer& out) override {
    operate();
    inner_->rms_norm(x, weight, eps, rows, out);
  }
  void linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    operate();
    inner_->linear(weight, x, rows, y);
  }
  void linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    operate();
    inner_->linear_add(weight, x, rows, y);
  }
  void head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                 std::int64_t rows) override {
    operate();
    inner_->head_norm(qkv, shape, norm, rows);
  }
  void rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin,
                  const LayerRows& rows) override {
    operate();
    inner_->rope_store(qkv, cos, sin, rows);
  }
  void attention(const Buffer& qkv, const LayerRows& rows, Buffer& out) override {
    operate();
    inner_->attention(qkv, rows, out);
  }
  void swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) override {
    operate();
    inner_->swiglu(gate_up, rows, ffn, out);
  }
  void gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
              Buffer& out) override {
    operate();
    inner_->gather(x, rows, columns, out);
  }
  void finish() override { inner_->finish(); }
  void head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                   std::span<Score> scores) override {
    operate();
    inner_->head_scores(head, x, rows, scores);
  }

 private:
  void operate() {
    if (fault_ == Fault::kNone || left_-- > 0) return;
    const Fault fault = for_ever_ ? fault_ : std::exchange(fault_, Fault::kNone);
    if (fault == Fault::kNoMemory) throw std::bad_alloc();
    fail(ErrorCode::kInternal, "the device does not answer");
  }

  std::unique_ptr<Backend> inner_;
  std::optional<std::uint64_t> available_;
  std::int64_t left_ = 0;
  Fault fault_ = Fault::kNone;
  bool for_ever_ = false;
};

}  // namespace fdllm
