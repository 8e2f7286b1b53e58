#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fdllm {

/// Rows of a canvas that have no K/V yet, or whose token was committed after their K/V were
/// computed. A forward runs every stale row that it attends, whatever its policy, so nothing ever
/// attends K/V that were never computed, and the K/V of a committed token are at most one forward
/// behind.
class StaleRows {
 public:
  explicit StaleRows(std::int32_t length) : stale_(static_cast<std::size_t>(length), 1) {}

  bool contains(std::int32_t row) const { return stale_[row] != 0; }
  void committed(std::int32_t row) { stale_[row] = 1; }
  void ran(std::span<const std::int32_t> rows) {
    for (const std::int32_t row : rows) stale_[row] = 0;
  }

 private:
  std::vector<std::uint8_t> stale_;
};

}  // namespace fdllm
