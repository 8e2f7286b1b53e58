#include "fastdllm/options.h"

namespace fdllm {

std::string_view name_of(WeightType type) {
  switch (type) {
    case WeightType::kAuto:
      return "auto";
    case WeightType::kBF16:
      return "bf16";
    case WeightType::kF32:
      return "f32";
    case WeightType::kInt8:
      return "int8";
    case WeightType::kInt8Group128:
      return "int8-g128";
    case WeightType::kInt8Group32:
      return "int8-g32";
    case WeightType::kInt4:
      return "int4";
    case WeightType::kInt4Group32:
      return "int4-g32";
  }
  return "unknown";
}

std::span<const WeightType> weight_types() {
  static constexpr WeightType kTypes[] = {WeightType::kAuto,         WeightType::kBF16,
                                          WeightType::kF32,          WeightType::kInt8,
                                          WeightType::kInt8Group128, WeightType::kInt8Group32,
                                          WeightType::kInt4,         WeightType::kInt4Group32};
  return kTypes;
}

}  // namespace fdllm
