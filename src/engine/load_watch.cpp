#include "engine/load_watch.h"

#include "base/check.h"

namespace fdllm {

using Clock = std::chrono::steady_clock;

void LoadWatch::opening() {
  tell(LoadProgress::Phase::kOpening);
}

PackCallback LoadWatch::on_packed() {
  if (!listener_) return {};
  return [this](std::uint64_t done, std::uint64_t total) { packed(done, total); };
}

void LoadWatch::loaded() {
  tell(LoadProgress::Phase::kLoaded);
}

void LoadWatch::packed(std::uint64_t done, std::uint64_t total) {
  done_ = done;
  total_ = total;
  if (done == 0 || Clock::now() - last_ >= interval_) tell(LoadProgress::Phase::kPacking);
}

void LoadWatch::tell(LoadProgress::Phase phase) {
  if (!listener_) return;
  last_ = Clock::now();
  if (listener_({phase, done_, total_})) return;
  fail(ErrorCode::kCancelled, "{}: loading was cancelled", model_);
}

}  // namespace fdllm
