#include "backend/cuda/launch_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fdllm::cuda {
namespace {

/// Lists of launches that are remembered: a model's steps with some numbers of rows and scores.
constexpr std::size_t kMostKnown = 48;

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

LaunchQueue::LaunchQueue(Runtime& runtime, LaunchMode mode)
    : runtime_(&runtime), mode_(mode), lists_(runtime) {
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
  if (mode_ == LaunchMode::kDirect) {
    for (const Launch& launch : pending_) launch.start(runtime_->native_stream());
    ++counts_.direct;
    return;
  }
  const auto found = std::ranges::find(known_, pending_, &Known::launches);
  if (found == known_.end()) {
    for (const Launch& launch : pending_) launch.start(runtime_->native_stream());
    known_.push_front({pending_, nullptr});
    if (known_.size() > kMostKnown) known_.pop_back();
    ++counts_.direct;
    return;
  }
  known_.splice(known_.begin(), known_, found);
  if (found->graph == nullptr) {
    found->graph = runtime_->capture(found->launches);
    ++counts_.captured;
  } else {
    ++counts_.replayed;
  }
  found->graph->start();
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
