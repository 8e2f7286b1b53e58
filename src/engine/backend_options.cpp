#include "engine/backend_options.h"

#include "base/check.h"

namespace fdllm {
namespace {

WeightFormat format_of(WeightType weights) {
  switch (weights) {
    case WeightType::kF32:
      return WeightFormat::kF32;
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

}  // namespace

BackendOptions backend_options(const EngineOptions& options) {
  return {options.device, format_of(options.weights), options.isa, options.threads};
}

}  // namespace fdllm
