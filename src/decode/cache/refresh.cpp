#include "decode/cache/refresh.h"

#include "base/check.h"

namespace fdllm {
namespace {

double mean_confidence(std::span<const Score> scores) {
  double sum = 0;
  for (const Score& score : scores) sum += score.confidence;
  return sum / static_cast<double>(scores.size());
}

}  // namespace

StepKind RefreshSchedule::next(std::int32_t block, bool begins) const {
  if (due_) return StepKind::kRefresh;
  if (!begins) return StepKind::kWindow;
  if (interval_ > 0 && block - refreshed_block_ >= interval_) return StepKind::kRefresh;
  return policy_->block_start;
}

void RefreshSchedule::advance(StepKind kind, std::int32_t block, bool begins,
                              std::span<const Score> scores) {
  check(!scores.empty(), "a forward without scores");
  if (kind == StepKind::kRefresh) {
    due_ = false;
    refreshed_block_ = block;
    refreshed_confidence_ = mean_confidence(scores);
  } else if (policy_->follows_drift && begins) {
    due_ = refreshed_confidence_ - mean_confidence(scores) > drift_;
  }
}

}  // namespace fdllm
