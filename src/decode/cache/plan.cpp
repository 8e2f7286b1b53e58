#include "decode/cache/plan.h"

#include <algorithm>

namespace fdllm {
namespace {

/// Which rows a forward attends and runs.
class RowChoice {
 public:
  RowChoice(const PlanSettings& settings, const PlanState& state)
      : state_(state), length_(state.end) {
    near_end_ = length_;
    if (settings.suffix_window && *settings.suffix_window < length_ - state.block.end) {
      near_end_ = state.block.end + *settings.suffix_window;
    }
    rows_before_ = {state.block.begin - std::min(settings.query_before, state.block.begin),
                    state.block.begin};
    switch (state.kind) {
      case StepKind::kRefresh:
        recomputed_ = {0, length_};
        break;
      case StepKind::kVicinity:
        recomputed_ = {state.block.begin - std::min(settings.refresh_radius, state.block.begin),
                       length_};
        if (settings.refresh_radius < length_ - state.block.end) {
          recomputed_.end = state.block.end + settings.refresh_radius;
        }
        block_before_ = state.before;
        break;
      case StepKind::kWindow:
        recomputed_ = settings.cache->window(state.block, length_);
        masked_only_ = settings.query == QueryRows::kMasked;
        break;
    }
  }

  bool attended(std::int32_t row) const {
    return row < near_end_ || row == length_ - 1 || !state_.canvas.masked(row);
  }
  bool in_tail(std::int32_t row) const {
    return state_.tail.contains(row) && row >= state_.block.end && state_.canvas.masked(row);
  }
  /// Of the attended rows.
  bool run(std::int32_t row) const {
    if (state_.stale.contains(row) || rows_before_.contains(row) || block_before_.contains(row) ||
        in_tail(row)) {
      return true;
    }
    return recomputed_.contains(row) && (!masked_only_ || state_.canvas.masked(row));
  }

 private:
  const PlanState& state_;
  std::int32_t length_;
  std::int32_t near_end_ = 0;  // masks from there on are far
  Range recomputed_, rows_before_, block_before_;
  bool masked_only_ = false;
};

}  // namespace

ForwardPlan make_plan(const PlanSettings& settings, const PlanState& state) {
  const RowChoice choice(settings, state);
  ForwardPlan plan;
  plan.score = state.canvas.masked_positions(state.block);
  plan.query.reserve(static_cast<std::size_t>(state.end));
  for (std::int32_t row = 0; row < state.end; ++row) {
    if (!choice.attended(row)) continue;
    if (plan.attend.empty() || plan.attend.back().end != row) plan.attend.push_back({row, row});
    plan.attend.back().end = row + 1;
    if (choice.run(row)) plan.query.push_back(row);
    if (choice.in_tail(row)) plan.score.push_back(row);
  }
  return plan;
}

std::int32_t attended_rows(const ForwardPlan& plan) {
  std::int32_t rows = 0;
  for (const Range& range : plan.attend) rows += range.size();
  return rows;
}

}  // namespace fdllm
