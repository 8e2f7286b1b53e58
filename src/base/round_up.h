#pragma once

namespace fdllm {

/// The least multiple of `multiple` that is at least `value`; both are 0 or more.
template <typename Integer>
constexpr Integer round_up(Integer value, Integer multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace fdllm
