#include "engine/pass_progress.h"

#include <algorithm>

namespace fdllm {

std::int32_t PassProgress::layers_at_once(std::int32_t left) const {
  if (layer_seconds_ <= 0 || interval_ <= 0) return 1;
  return static_cast<std::int32_t>(
      std::clamp(interval_ / layer_seconds_, 1.0, static_cast<double>(std::max(left, 1))));
}

bool PassProgress::is_due(Clock::time_point now, std::int32_t left) {
  const bool due = std::chrono::duration<double>(now - last_).count() >= interval_;
  if (left > 0 ? !due : !told_ && !due) return false;
  last_ = now;
  told_ = true;
  return true;
}

}  // namespace fdllm
