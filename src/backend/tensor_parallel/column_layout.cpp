#include "backend/tensor_parallel/column_layout.h"

#include <algorithm>

#include "base/check.h"

namespace fdllm::tensor_parallel {

ColumnRange ColumnLayout::share(const ColumnPart& part, int device, int devices) {
  check(part.together > 0 && part.columns >= 0 && part.columns % part.together == 0,
        "columns that stay together");
  const std::int64_t groups = part.columns / part.together;
  return {groups * device / devices * part.together,
          groups * (device + 1) / devices * part.together};
}

ColumnLayout::ColumnLayout(std::span<const ColumnPart> parts, int devices)
    : columns_of_(static_cast<std::size_t>(devices)) {
  for (const ColumnPart& part : parts) {
    for (int device = 0; device < devices; ++device) {
      const ColumnRange range = share(part, device, devices);
      if (range.size() == 0) continue;
      std::int64_t& held = columns_of_[device];
      pieces_.push_back(
          {device, {held, held + range.size()}, {columns_ + range.begin, columns_ + range.end}});
      held += range.size();
    }
    columns_ += part.columns;
  }
}

bool operator==(const ColumnLayout& a, const ColumnLayout& b) {
  return std::ranges::equal(a.pieces_, b.pieces_,
                            [](const ColumnPiece& one, const ColumnPiece& other) {
                              return one.device == other.device && one.whole == other.whole;
                            });
}

}  // namespace fdllm::tensor_parallel
