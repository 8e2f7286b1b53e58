#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
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

/// A step of shared work: function(item, part) for every item in [0, items), in any order, on any
/// of the threads. `part` tells which thread runs it. The function must be noexcept and outlive the
/// run.
struct Phase {
  template <typename Function>
  Phase(std::int64_t item_count, Function& function)
      : items(item_count),
        context(const_cast<void*>(static_cast<const void*>(&function))),
        call([](void* to, std::int64_t item, int part) noexcept {
          (*static_cast<Function*>(to))(item, part);
        }) {
    static_assert(noexcept(function(std::int64_t{0}, 0)), "nobody would catch it on a worker");
  }

  std::int64_t items;
  void* context;
  void (*call)(void* context, std::int64_t item, int part) noexcept;
};

/// Threads that live as long as the pool and share out the items of one run at a time with the
/// caller. One thread at a time may call run(). Handing over costs about a microsecond while the
/// workers still spin; a worker that the system has not scheduled by then is not waited for: the
/// others do its share.
class ThreadPool {
 public:
  static constexpr int kMaxPhases = 4;

  /// `threads` counts the caller, so threads - 1 are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs the phases one after another (at most kMaxPhases), each on up to `parts` threads
  /// (clamped to [1, size()]): every item of a phase has ended before one of the next begins.
  void run(int parts, std::initializer_list<Phase> phases);
  template <typename Function>
  void run(int parts, std::int64_t items, Function&& function) {
    run(parts, {Phase(items, function)});
  }

 private:
  struct Worker {
    Gate start;
    std::thread thread;
  };
  /// Counters of a running phase, each on a cache line of its own.
  struct Counters {
    alignas(64) std::atomic<std::int64_t> next{0};  ///< item that is handed out next
    alignas(64) std::atomic<std::int64_t> done{0};  ///< items that have ended
  };

  static constexpr std::uint32_t kOpen = 1u << 31;

  void work(Worker& worker, int part);
  void take_part(int part);
  void finish_phase(int phase);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> ending_{false};
  // Written by run() only while no worker is a member; a worker reads them as a member only.
  std::vector<Phase> phases_;
  int parts_ = 1;
  Counters counters_[kMaxPhases];
  /// kOpen while a run may be joined, plus the number of workers that are in it.
  alignas(64) std::atomic<std::uint32_t> members_{0};
  Gate progress_;  ///< advances when a phase is complete and when the last member has left
};

}  // namespace fdllm
