#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace fdllm {

/// A number that threads wait on: they spin for some tens of microseconds (waking a sleeping thread
/// costs that much) and then sleep, so that neither an idle engine nor an oversubscribed machine
/// burns CPU time.
class alignas(64) Gate {
 public:
  std::uint32_t value() const { return value_.load(std::memory_order_acquire); }
  /// Adds 1 and wakes whoever waits.
  void advance();
  /// Returns once the value differs from `old`.
  void wait_while(std::uint32_t old);

 private:
  std::atomic<std::uint32_t> value_{0};
  std::atomic<std::uint32_t> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// Threads that live as long as the pool and run one function at a time, together with the caller.
/// One thread at a time may call run(). Handing over costs about a microsecond while the workers
/// still spin.
class ThreadPool {
 public:
  /// `threads` counts the caller, so threads - 1 are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// function(part) for part = 0 .. parts - 1, each on a thread of its own (1 <= parts <= size());
  /// returns when all are done. part 0 is the caller. The function must be noexcept.
  template <typename Function>
  void run(int parts, Function&& function) {
    static_assert(noexcept(function(0)), "a part that throws would leave the others at a barrier");
    using Pure = std::remove_reference_t<Function>;
    if (parts <= 1) {
      parts_ = 1;
      function(0);
      return;
    }
    run_parts(
        parts, [](void* context, int part) noexcept { (*static_cast<Pure*>(context))(part); },
        const_cast<void*>(static_cast<const void*>(&function)));
  }

  /// Called by every part of a running function: returns when all parts have called it.
  void barrier();

 private:
  using Task = void (*)(void* context, int part) noexcept;
  struct Worker {
    Gate start;
    std::thread thread;
  };

  void run_parts(int parts, Task task, void* context);
  void work(Worker& worker, int part);

  std::vector<std::unique_ptr<Worker>> workers_;
  Task task_ = nullptr;  ///< nullptr at a start: the pool ends
  void* context_ = nullptr;
  int parts_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  Gate barrier_gate_;
  alignas(64) std::atomic<int> unfinished_{0};
  Gate done_gate_;
};

}  // namespace fdllm
