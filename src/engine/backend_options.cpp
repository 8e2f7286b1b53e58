#include "engine/backend_options.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "model/stored_weights.h"

namespace fdllm {

WeightFormat weight_format(WeightType weights) {
  switch (weights) {
    case WeightType::kF32:
      return WeightFormat::kF32;
    case WeightType::kAuto:
    case WeightType::kBF16:
      return WeightFormat::kBF16;
    case WeightType::kInt8:
      return WeightFormat::kInt8;
    case WeightType::kInt8Group128:
      return WeightFormat::kInt8Group128;
    case WeightType::kInt8Group32:
      return WeightFormat::kInt8Group32;
    case WeightType::kInt4:
      return WeightFormat::kInt4;
    case WeightType::kInt4Group32:
      return WeightFormat::kInt4Group32;
  }
  fail(ErrorCode::kInvalidArgument, "weights: unknown type {}", static_cast<int>(weights));
}

namespace {

/// What suits weights that are stored as `type`.
WeightType weights_for(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      return WeightType::kBF16;
    case DType::kQ8_0:
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ5_K:
    case DType::kQ6_K:
      return WeightType::kInt8;
    case DType::kQ4_0:
    case DType::kQ4_1:
    case DType::kIQ4_NL:
    case DType::kQ2_K:
    case DType::kQ3_K:
    case DType::kQ4_K:
      break;
  }
  return WeightType::kInt4;
}

}  // namespace

WeightType resolve_weights(WeightType asked, const ModelTensors& tensors) {
  if (asked != WeightType::kAuto) return asked;
  std::array<std::int64_t, kDTypes.size()> weights{};
  for (const LayerTensors& layer : tensors.layers) {
    for (const TensorView* matrix : matrices_of(layer)) {
      weights[static_cast<std::size_t>(matrix->dtype)] += matrix->elements();
    }
  }
  const auto most = std::max_element(weights.begin(), weights.end());
  return weights_for(static_cast<DType>(most - weights.begin()));
}

BackendOptions backend_options(const EngineOptions& options) {
  return {options.device, weight_format(options.weights), options.isa, options.threads};
}

}  // namespace fdllm
