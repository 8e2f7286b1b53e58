#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>

namespace fdllm {
namespace {

constexpr auto kSpinTime = std::chrono::microseconds(50);

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

void Gate::advance() {
  // Sequentially consistent on both sides: either this thread sees the sleeper, or the sleeper sees
  // the new value before it sleeps.
  value_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) {
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
  }
}

void Gate::wait_while(std::uint32_t old) {
  for (int i = 0; i < 64; ++i) {
    if (value() != old) return;
    pause_briefly();
  }
  const auto give_up = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 32; ++i) {
      if (value() != old) return;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < give_up);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return value_.load(std::memory_order_seq_cst) != old; });
  }
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

ThreadPool::ThreadPool(int threads) {
  phases_.reserve(kMaxPhases);
  for (int part = 1; part < threads; ++part) {
    workers_.push_back(std::make_unique<Worker>());
    Worker& worker = *workers_.back();
    try {
      worker.thread = std::thread([this, &worker, part] { work(worker, part); });
    } catch (...) {
      workers_.pop_back();  // the system gives no more threads: be content with those there are
      return;
    }
  }
}

ThreadPool::~ThreadPool() {
  ending_.store(true);
  for (auto& worker : workers_) worker->start.advance();
  for (auto& worker : workers_) worker->thread.join();
}

void ThreadPool::run(int parts, std::initializer_list<Phase> phases) {
  parts = std::clamp(parts, 1, size());
  if (parts == 1) {
    for (const Phase& phase : phases) {
      for (std::int64_t item = 0; item < phase.items; ++item) phase.call(phase.context, item, 0);
    }
    return;
  }
  phases_.assign(phases.begin(), phases.end());
  parts_ = parts;
  for (std::size_t i = 0; i < phases_.size(); ++i) {
    counters_[i].next.store(0, std::memory_order_relaxed);
    counters_[i].done.store(0, std::memory_order_relaxed);
  }
  members_.store(kOpen, std::memory_order_release);
  for (int part = 1; part < parts; ++part) workers_[part - 1]->start.advance();
  take_part(0);
  members_.fetch_and(~kOpen, std::memory_order_acq_rel);
  for (;;) {
    const std::uint32_t seen = progress_.value();
    if (members_.load(std::memory_order_acquire) == 0) return;
    progress_.wait_while(seen);
  }
}

void ThreadPool::work(Worker& worker, int part) {
  std::uint32_t seen = 0;
  for (;;) {
    worker.start.wait_while(seen);
    seen = worker.start.value();
    if (ending_.load()) return;
    std::uint32_t members = members_.load(std::memory_order_relaxed);
    bool joined = false;
    while (!joined && (members & kOpen) != 0) {
      joined = members_.compare_exchange_weak(members, members + 1, std::memory_order_acq_rel,
                                              std::memory_order_relaxed);
    }
    if (!joined) continue;  // that run has ended without this worker
    // A late worker may have joined a later run than the one it was called for.
    if (part < parts_) take_part(part);
    if (members_.fetch_sub(1, std::memory_order_acq_rel) == 1) progress_.advance();
  }
}

void ThreadPool::take_part(int part) {
  for (int i = 0; i < static_cast<int>(phases_.size()); ++i) {
    const Phase& phase = phases_[i];
    std::int64_t ended = 0;
    for (;;) {
      const std::int64_t item = counters_[i].next.fetch_add(1, std::memory_order_relaxed);
      if (item >= phase.items) break;
      phase.call(phase.context, item, part);
      ++ended;
    }
    if (ended > 0) {
      const std::int64_t before = counters_[i].done.fetch_add(ended, std::memory_order_acq_rel);
      if (before + ended == phase.items) progress_.advance();
    }
    // The caller sees every phase to its end; a worker need not wait for the end of the last one.
    if (part == 0 || i + 1 < static_cast<int>(phases_.size())) finish_phase(i);
  }
}

void ThreadPool::finish_phase(int phase) {
  for (;;) {
    const std::uint32_t seen = progress_.value();
    if (counters_[phase].done.load(std::memory_order_acquire) >= phases_[phase].items) return;
    progress_.wait_while(seen);
  }
}

}  // namespace fdllm
