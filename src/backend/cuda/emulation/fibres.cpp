#include "backend/cuda/emulation/fibres.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/preallocated.hpp>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define FDLLM_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FDLLM_ADDRESS_SANITIZER
#endif
#endif
#if defined(FDLLM_ADDRESS_SANITIZER)
#include <sanitizer/common_interface_defs.h>
#endif

namespace fdllm::cuda::emulation {
namespace {

constexpr unsigned kLanes = 32;
constexpr unsigned kMaxThreads = 1024;
/// A limit of every card, which a launch must not exceed.
constexpr std::size_t kMaxSharedBytes = std::size_t{99} * 1024;
constexpr std::size_t kStackBytes = std::size_t{128} * 1024;
constexpr std::size_t kCopyBytes = 16;

/// Ends a kernel in the middle.
struct Stopped {};

// AddressSanitizer must be told when the stack changes; else exceptions on a fibre confuse it.
#if defined(FDLLM_ADDRESS_SANITIZER)
void leave_stack(void** fake_stack, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
void enter_stack(void* fake_stack, const void** old_bottom, std::size_t* old_bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, old_bottom, old_bytes);
}
#else
void leave_stack(void**, const void*, std::size_t) {}
void enter_stack(void*, const void**, std::size_t*) {}
#endif

}  // namespace

Block& Block::current() {
  thread_local Block block;
  return block;
}

void Block::start(Thread& thread) {
  boost::context::fixedsize_stack stacks(kStackBytes);
  thread.stack = stacks.allocate();
  thread.fibre = boost::context::fiber(
      std::allocator_arg,
      boost::context::preallocated(thread.stack.sp, thread.stack.size, thread.stack), stacks,
      [this, &thread](boost::context::fiber&& scheduler) {
        enter_stack(nullptr, &scheduler_stack_, &scheduler_stack_bytes_);
        thread.scheduler = std::move(scheduler);
        while (!stopping_) {
          try {
            body_(context_);
          } catch (const Stopped&) {
            break;
          } catch (...) {
            error_ = std::current_exception();
          }
          thread.finished = true;
          yield(thread);
        }
        leave_stack(nullptr, scheduler_stack_, scheduler_stack_bytes_);
        return std::move(thread.scheduler);
      });
}

void Block::resume(Thread& thread) {
  running_ = &thread;
  threadIdx = thread.index;
  void* fake_stack = nullptr;
  const auto* const top = static_cast<const std::byte*>(thread.stack.sp);
  leave_stack(&fake_stack, top - thread.stack.size, thread.stack.size);
  thread.fibre = std::move(thread.fibre).resume();
  enter_stack(fake_stack, nullptr, nullptr);
}

void Block::yield(Thread& thread) {
  leave_stack(&thread.fake_stack, scheduler_stack_, scheduler_stack_bytes_);
  thread.scheduler = std::move(thread.scheduler).resume();
  enter_stack(thread.fake_stack, &scheduler_stack_, &scheduler_stack_bytes_);
}

void Block::stop() {
  stopping_ = true;
  for (const auto& thread : threads_) resume(*thread);
  threads_.clear();
  stopping_ = false;
}

void Block::wait(const std::uint64_t& generation) {
  Thread& thread = *running_;
  thread.generation = &generation;
  thread.seen = generation;
  yield(thread);
  if (stopping_) throw Stopped{};
  thread.generation = nullptr;
}

void Block::sync() {
  if (++arrived_ < size_) {
    wait(generation_);
    return;
  }
  arrived_ = 0;
  ++generation_;
}

void Block::collective(void (*operation)(void* const* lanes), void* arguments) {
  Warp& warp = warps_[threadIdx.x / kLanes];
  if (warp.arrived == 0) warp.operation = operation;
  check(warp.operation == operation, "lanes of a warp that do different things");
  warp.lanes[threadIdx.x % kLanes] = arguments;
  if (++warp.arrived < kLanes) {
    wait(warp.generation);
    return;
  }
  operation(warp.lanes);
  warp.arrived = 0;
  ++warp.generation;
}

// Copies happen when they are waited for, as late as a GPU may do them: a kernel that reads too
// early finds old bytes.
void Block::copy(void* to, const void* from, bool valid) {
  running_->copies.push_back({to, valid ? from : nullptr});
  ++running_->open;
}

void Block::commit_copies() {
  running_->groups.push_back(running_->open);
  running_->open = 0;
}

void Block::wait_copies(std::size_t pending_groups) {
  Thread& thread = *running_;
  std::size_t done = 0;
  while (thread.groups.size() > pending_groups) {
    for (std::size_t i = 0; i < thread.groups.front(); ++i, ++done) {
      const Copy& copy = thread.copies[done];
      if (copy.from == nullptr) {
        std::memset(copy.to, 0, kCopyBytes);
      } else {
        std::memcpy(copy.to, copy.from, kCopyBytes);
      }
    }
    thread.groups.erase(thread.groups.begin());
  }
  thread.copies.erase(thread.copies.begin(),
                      thread.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

void Block::run_block() {
  std::fill(shared_.begin(), shared_.end(), std::byte{0xff});  // NaN, or -1
  arrived_ = 0;
  std::fill(warps_.begin(), warps_.end(), Warp{});
  for (unsigned i = 0; i < size_; ++i) {
    threads_[i]->finished = false;
    threads_[i]->copies.clear();
    threads_[i]->groups.clear();
    threads_[i]->open = 0;
  }
  const auto may_go_on = [](const Thread& thread) {
    return !thread.finished && (thread.generation == nullptr || *thread.generation != thread.seen);
  };
  bool progress = true;
  while (progress) {
    progress = false;
    for (unsigned warp = 0; warp < size_; warp += kLanes) {
      // A warp goes on until it waits for others: what it works on stays in the cache.
      for (bool moved = true; moved;) {
        moved = false;
        for (unsigned i = warp; i < warp + kLanes; ++i) {
          if (!may_go_on(*threads_[i])) continue;
          resume(*threads_[i]);
          moved = progress = true;
        }
      }
    }
  }
  const bool stuck = std::any_of(threads_.begin(), threads_.begin() + size_,
                                 [](const auto& thread) { return !thread->finished; });
  if (!stuck && error_ == nullptr) return;
  stop();  // what waits would wait for ever
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  check(false, "a barrier that not all threads of a block or warp reach");
}

void Block::run(Index grid, unsigned threads, std::size_t shared_bytes, Body body, void* context) {
  check(threads > 0 && threads % kLanes == 0 && threads <= kMaxThreads &&
            shared_bytes <= kMaxSharedBytes && grid.x > 0 && grid.y > 0 && grid.z > 0 &&
            grid.y < 65536 && grid.z < 65536,
        "a launch that no GPU takes");
  body_ = body;
  context_ = context;
  size_ = threads;
  shared_.resize(shared_bytes + kCopyBytes);
  warps_.resize(threads / kLanes);
  while (threads_.size() < threads) {
    threads_.push_back(std::make_unique<Thread>());
    threads_.back()->index.x = static_cast<unsigned>(threads_.size() - 1);
    start(*threads_.back());
  }
  gridDim = grid;
  blockDim = {threads, 1, 1};
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block();
      }
    }
  }
}

}  // namespace fdllm::cuda::emulation
