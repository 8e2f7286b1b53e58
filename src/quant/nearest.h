#pragma once
#include <algorithm>

namespace fdllm {

/// The integer in [low, high] nearest to `value` (ties to even); `low` for NaN.
inline int nearest_in(float value, float low, float high) {
  const float inside = std::min(std::max(low, value), high);
  // 1.5 x 2^23: adding it leaves no bits for a fraction.
  constexpr float kShift = 12582912.0f;
  return static_cast<int>((inside + kShift) - kShift);
}

}  // namespace fdllm
