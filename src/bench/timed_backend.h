#pragma once
#include <memory>
#include <optional>

#include "backend/backend.h"
#include "bench/operation.h"

namespace fdllm::bench {

/// A back end that hands every call on to another and, unless told not to, notes how long each
/// operation of a forward took, for which a device must finish one before the next is asked for.
/// Results are the other's, bit for bit: buffers, matrices and K/V are its own.
class TimedBackend final : public Backend {
 public:
  explicit TimedBackend(std::unique_ptr<Backend> inner);

  void set_timing(bool timing) { timing_ = timing; }
  /// What was done since the last reset(), while timing.
  const OperationCosts& costs() const { return costs_; }
  void reset() { costs_ = {}; }
  /// What allocate_kv() gave last: while a single request runs, its K/V.
  const KvSlab* last_kv() const { return last_kv_; }
  const Backend& inner() const { return *inner_; }

  std::string description() const override;
  WeightFormat weight_format(MatrixRole role) const override;
  std::optional<std::uint64_t> available_memory() const override;
  bool takes_memory_lazily() const override { return inner_->takes_memory_lazily(); }
  std::unique_ptr<Buffer> allocate(std::int64_t elements) override;
  std::size_t buffer_bytes(std::int64_t elements) const override;
  std::unique_ptr<Buffer> upload(std::span<const float> values) override;
  std::unique_ptr<Matrix> pack(std::span<const StoredMatrix> parts, MatrixRole role) override;
  std::size_t packed_bytes(std::int64_t rows, std::int64_t columns, MatrixRole role) const override;
  std::unique_ptr<EmbeddingTable> embedding(const StoredMatrix& table) override;
  std::unique_ptr<KvSlab> allocate_kv(const KvShape& shape) override;
  std::size_t kv_bytes(const KvShape& shape) const override;

  void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens, Buffer& x) override;
  void rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                Buffer& out) override;
  void linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override;
  void linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override;
  void head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                 std::int64_t rows) override;
  void rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin,
                  const LayerRows& rows) override;
  void attention(const Buffer& qkv, const LayerRows& rows, Buffer& out) override;
  void swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) override;
  void gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
              Buffer& out) override;
  void finish() override;
  void head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                   std::span<Score> scores) override;

 private:
  /// What a product is called follows from the operation before it.
  enum class Stage : std::uint8_t { kBeforeAttention, kAfterAttention, kAfterSwiglu };

  template <typename Function>
  OperationCost& timed(Operation operation, Function&& function);
  void add_product(OperationCost& cost, const Matrix& weight, std::int64_t rows,
                   MatrixRole role) const;

  std::unique_ptr<Backend> inner_;
  const KvSlab* last_kv_ = nullptr;
  bool timing_ = true;
  OperationCosts costs_{};
  OperationCost unused_;
  Stage stage_ = Stage::kBeforeAttention;
};

}  // namespace fdllm::bench
