#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "fastdllm/options.h"

#include "base/range.h"

namespace fdllm {

/// Which K/V are kept within a block: which rows its steps recompute. Data and a pure function; it
/// knows neither rules nor models. (cache/refresh.h says what is recomputed between blocks,
/// cache/plan.h makes a forward's plan of both.)
struct CachePolicy {
  CacheKind kind;
  std::string_view name;
  /// K/V are kept between the steps of a block, so a window step is not the whole canvas.
  bool keeps_rows;
  /// Rows that a step within `block` recomputes on a canvas of `length` rows.
  Range (*window)(Range block, std::int32_t length);
};

extern const CachePolicy kNoCache;
extern const CachePolicy kPrefixCache;
extern const CachePolicy kDualCache;

std::span<const CachePolicy* const> cache_policies();
const CachePolicy& cache_policy(CacheKind kind);
/// Where a request names none.
inline constexpr CacheKind kDefaultCache = CacheKind::kDual;

}  // namespace fdllm
