#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/sampling.h"
#include "backend/cuda/device_matrix.h"
#include "backend/cuda/device_product.h"
#include "backend/cuda/staging.h"

namespace fdllm::cuda {

/// Backend::head_scores: spans of the vocabulary's logits are reduced on the device, and only
/// scores come back. The rows that need all their logits at once (top_p, top_k, margin, entropy)
/// bring them to the host, at most 16 at a time, where the CPU's code scores them.
class DeviceHead {
 public:
  DeviceHead(Runtime& runtime, Staging& staging, const cpu::KernelTable& kernels)
      : runtime_(&runtime), staging_(&staging), kernels_(&kernels), product_(runtime) {}

  void scores(const DeviceMatrix& head, const float* x, std::span<const HeadRow> rows,
              std::span<Score> scores);
  /// Logits of rows 0 .. rows - 1 of x.
  void logits(const DeviceMatrix& head, const float* x, std::int64_t rows, std::span<float> logits);

 private:
  /// Makes the hidden rows ready that `rows` need; fills device_rows_.
  void prepare(const DeviceMatrix& head, const float* x, std::span<const HeadRow> rows);
  void score_streamed(const DeviceMatrix& head, std::span<Score*> scores);
  void score_whole(const DeviceMatrix& head, std::span<const HeadRow> rows,
                   std::span<Score*> scores);
  /// All logits of the prepared rows, in pinned memory.
  const float* whole_logits(const DeviceMatrix& head, std::int64_t rows);

  Runtime* runtime_;
  Staging* staging_;
  const cpu::KernelTable* kernels_;
  DeviceProduct product_;
  std::vector<std::int32_t> hidden_;  ///< rows of x that are prepared
  std::vector<DeviceHeadRow> device_rows_;
  DeviceMemory index_, rows_, logits_, partials_, scores_;
  PinnedMemory host_logits_, host_scores_;
  cpu::Candidates candidates_;
};

}  // namespace fdllm::cuda
