#pragma once
#include <cstdint>

namespace fdllm {

/// Half-open range [begin, end) of positions or rows.
struct Range {
  std::int32_t begin = 0;
  std::int32_t end = 0;

  std::int32_t size() const { return end - begin; }
  bool contains(std::int32_t value) const { return value >= begin && value < end; }
  friend bool operator==(const Range&, const Range&) = default;
};

}  // namespace fdllm
