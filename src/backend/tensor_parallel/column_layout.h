#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace fdllm::tensor_parallel {

/// Columns of a row that are dealt out to the devices by themselves, as the q, k and v of a row of
/// projections are. Neighbours that make up a head stay together.
struct ColumnPart {
  std::int64_t columns = 0;
  std::int64_t together = 1;
};

/// [begin, end)
struct ColumnRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const ColumnRange&) const = default;
};

/// Columns that a device holds next to each other and that are neighbours in the whole row too.
struct ColumnPiece {
  int device = 0;
  ColumnRange local;  ///< among the columns of the device
  ColumnRange whole;  ///< in the row
};

/// Which columns of a row each device holds: of every part device i of N those from i / N to
/// (i + 1) / N on, rounded down to what stays together, in the order of the parts. A device may
/// hold none.
class ColumnLayout {
 public:
  ColumnLayout() = default;
  ColumnLayout(std::span<const ColumnPart> parts, int devices);
  ColumnLayout(std::initializer_list<ColumnPart> parts, int devices)
      : ColumnLayout(std::span(parts.begin(), parts.size()), devices) {}

  std::int64_t columns() const { return columns_; }
  /// Columns of a device.
  std::int64_t columns_of(int device) const { return columns_of_[device]; }
  /// All pieces that are not empty, in the order of the row.
  std::span<const ColumnPiece> pieces() const { return pieces_; }
  /// A device's share of a part, from the part's first column on.
  static ColumnRange share(const ColumnPart& part, int device, int devices);

  /// The same columns on the same devices.
  friend bool operator==(const ColumnLayout& a, const ColumnLayout& b);

 private:
  std::int64_t columns_ = 0;
  std::vector<std::int64_t> columns_of_;
  std::vector<ColumnPiece> pieces_;
};

}  // namespace fdllm::tensor_parallel
