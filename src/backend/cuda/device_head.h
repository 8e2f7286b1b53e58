#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device_matrix.h"
#include "backend/cuda/device_product.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// Backend::head_scores: the vocabulary's logits are reduced on the device and only scores come
/// back, in one copy. Most rows need a span of the logits at a time; those with top_p, top_k,
/// margin or entropy need all theirs at once.
class DeviceHead {
 public:
  explicit DeviceHead(Runtime& runtime) : runtime_(&runtime), product_(runtime) {}

  void scores(const DeviceMatrix& head, const float* x, std::span<const HeadRow> rows,
              std::span<Score> scores);
  /// Logits of rows 0 .. rows - 1 of x.
  void logits(const DeviceMatrix& head, const float* x, std::int64_t rows, std::span<float> logits);

 private:
  /// Rows whose logits exist together.
  struct Batch {
    bool is_whole = false;
    std::vector<std::int32_t> hidden;  ///< rows of x
    std::vector<DeviceHeadRow> rows;
    std::vector<std::uint32_t> token_rules;  ///< of all rows; those that are equal share words
    std::vector<std::size_t> places;         ///< of the rows among all scores
  };

  /// Puts the words of a row's exceptions into the batch, and where they are into the row.
  static void add_rules(std::span<const TokenException> exceptions, Batch& batch,
                        DeviceHeadRow& row);
  static std::vector<Batch> batches_of(std::span<const HeadRow> rows);
  void reserve(std::int64_t vocab, std::span<const Batch> batches);
  /// Queues what finds a batch's scores, which go to `scores` in device memory.
  void score_streamed(const DeviceMatrix& head, const Batch& batch, DeviceScore* scores);
  void score_whole(const DeviceMatrix& head, const Batch& batch, DeviceScore* scores);

  Runtime* runtime_;
  DeviceProduct product_;
  DeviceMemory logits_, partials_, scores_;
  PinnedMemory host_logits_, host_scores_;
};

}  // namespace fdllm::cuda
