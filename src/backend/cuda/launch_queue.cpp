#include "backend/cuda/launch_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fdllm::cuda {
namespace {

/// Sets a flag for as long as it lives.
class Flag {
 public:
  explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
  ~Flag() { flag_ = false; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

 private:
  bool& flag_;
};

}  // namespace

LaunchQueue::LaunchQueue(Runtime& runtime, LaunchMode mode, std::size_t most_launches)
    : runtime_(&runtime), mode_(mode), lists_(runtime), most_launches_(most_launches) {
  runtime.set_queue(this);
}

LaunchQueue::~LaunchQueue() {
  runtime_->set_queue(nullptr);
}

void LaunchQueue::add(const Launch& launch) {
  pending_.push_back(launch);
  is_list_open_ = false;
  if (mode_ == LaunchMode::kDirect) flush();
}

void LaunchQueue::flush() {
  if (is_flushing_ || pending_.empty()) return;
  const Flag flushing(is_flushing_);
  const bool is_list_open = std::exchange(is_list_open_, false);
  try {
    lists_.send();
    start_pending();
  } catch (...) {
    pending_.clear();
    lists_.clear();
    throw;
  }
  pending_.clear();
  lists_.clear();
  check(!is_list_open, "lists are asked for after memory is reserved");
}

void LaunchQueue::start_pending() {
  runtime_->make_current();
  Known* const known = mode_ == LaunchMode::kGraphs ? find_pending() : nullptr;
  if (known == nullptr) {
    for (const Launch& launch : pending_) launch.start(runtime_->native_stream());
    if (mode_ == LaunchMode::kGraphs) remember_pending();
    ++counts_.direct;
    return;
  }
  if (known->graph == nullptr) {
    known->graph = runtime_->capture(known->launches);
    ++counts_.captured;
  } else {
    ++counts_.replayed;
  }
  known->graph->start();
}

LaunchQueue::Known* LaunchQueue::find_pending() {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const std::size_t at = (next_ + i) % known_.size();
    if (known_[at].launches != pending_) continue;
    next_ = at + 1;
    known_[at].last_use = ++uses_;
    return &known_[at];
  }
  return nullptr;
}

void LaunchQueue::remember_pending() {
  known_launches_ += pending_.size();
  while (known_launches_ > most_launches_ && !known_.empty()) {
    const auto oldest = std::ranges::min_element(known_, {}, &Known::last_use);
    known_launches_ -= oldest->launches.size();
    known_.erase(oldest);
  }
  known_.push_back({pending_, nullptr, ++uses_});
  next_ = known_.size();
}

void Runtime::submit() {
  if (queue_ != nullptr) queue_->flush();
}

void Runtime::submit_quietly() noexcept {
  try {
    submit();
  } catch (...) {
    if (error_ == nullptr) error_ = std::current_exception();
  }
}

void Runtime::rethrow_error() {
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace fdllm::cuda
