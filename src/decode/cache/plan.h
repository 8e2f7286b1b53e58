#pragma once
#include <cstdint>
#include <optional>

#include "fastdllm/options.h"

#include "base/range.h"
#include "decode/cache/policy.h"
#include "decode/cache/refresh.h"
#include "decode/cache/stale_rows.h"
#include "decode/canvas.h"
#include "model/forward_plan.h"

namespace fdllm {

/// What a request's options say about the rows of its forwards, whatever the rule.
struct PlanSettings {
  const CachePolicy* cache = nullptr;
  const RefreshPolicy* refresh = nullptr;
  std::int32_t refresh_interval = 0;  ///< 0: none (RefreshSchedule)
  double refresh_drift = 0;
  std::int32_t refresh_radius = 0;  ///< of StepKind::kVicinity
  QueryRows query = QueryRows::kAll;
  std::int32_t query_before = 0;  ///< rows before the block
  std::optional<std::int32_t> suffix_window;

  /// These are the paper's plans.
  bool as_paper() const {
    return query == QueryRows::kAll && query_before == 0 && refresh->kind == RefreshKind::kBlock &&
           refresh_interval == 1 && !suffix_window;
  }
};

/// Throws kInvalidArgument naming the option(s) and the conflict. The options' ranges have been
/// checked. `block_length` is the resolved one.
PlanSettings resolve_plan(const GenerateOptions& options, std::int32_t block_length);
/// Writes into `options` what they left open.
void fill_in_rows(const PlanSettings& settings, GenerateOptions& options);

/// Where a request stands when a plan is made.
struct PlanState {
  const Canvas& canvas;
  const StaleRows& stale;
  Range block;   ///< the live one
  Range before;  ///< the block that was decoded before it; empty: there is none
  StepKind kind = StepKind::kRefresh;
  std::int32_t end;  ///< of the canvas, as far as it has grown; no row from there on takes part
  Range tail = {};   ///< also run and scored, where it is masked and attended
};

/// The plan of the next forward. Attended is the whole canvas, except that with a suffix window
/// masks further behind the block are not, but for the last position. Run are those of the attended
/// rows that `kind` names (in a window step, with QueryRows::kMasked, only its masked ones), the
/// `query_before` rows before the block, and those that are stale. Scored are the masked positions
/// of the block, then those of the tail that lie behind it.
ForwardPlan make_plan(const PlanSettings& settings, const PlanState& state);

/// Rows that every query of the plan attends.
std::int32_t attended_rows(const ForwardPlan& plan);

}  // namespace fdllm
