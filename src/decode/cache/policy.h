#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "fastdllm/options.h"

#include "base/range.h"
#include "decode/canvas.h"
#include "model/forward_plan.h"

namespace fdllm {

enum class StepKind : std::uint8_t {
  kRefresh,  ///< the first forward of a block
  kWindow,   ///< any later one
};

/// Which rows a step runs, attends and scores. A policy is data and a pure function: it holds no
/// state and knows neither rules nor models.
struct CachePolicy {
  CacheKind kind;
  std::string_view name;
  /// K/V are kept between the steps of a block, so a window step is not the whole canvas.
  bool keeps_rows;
  /// `block` is the live block; its still masked positions become plan.score. All L rows of the
  /// canvas are attended, fresh or kept.
  ForwardPlan (*plan)(const Canvas& canvas, Range block, StepKind kind);
};

/// The plan that feeds the positions of `query`, attends the whole canvas and scores the masked
/// positions of `block`: all that the policies so far differ in is `query`.
ForwardPlan plan_of_rows(const Canvas& canvas, Range block, Range query);

extern const CachePolicy kNoCache;
extern const CachePolicy kPrefixCache;
extern const CachePolicy kDualCache;

std::span<const CachePolicy* const> cache_policies();
const CachePolicy& cache_policy(CacheKind kind);

}  // namespace fdllm
