#include "base/thread_pool.h"

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
  task_ = nullptr;
  for (auto& worker : workers_) worker->start.advance();
  for (auto& worker : workers_) worker->thread.join();
}

void ThreadPool::run_parts(int parts, Task task, void* context) {
  task_ = task;
  context_ = context;
  parts_ = parts;
  unfinished_.store(parts - 1, std::memory_order_relaxed);
  const std::uint32_t done = done_gate_.value();
  for (int part = 1; part < parts; ++part) workers_[part - 1]->start.advance();
  task(context, 0);
  done_gate_.wait_while(done);
}

void ThreadPool::work(Worker& worker, int part) {
  std::uint32_t seen = 0;
  for (;;) {
    worker.start.wait_while(seen);
    ++seen;
    if (task_ == nullptr) return;
    task_(context_, part);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_gate_.advance();
  }
}

void ThreadPool::barrier() {
  if (parts_ <= 1) return;
  const std::uint32_t phase = barrier_gate_.value();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts_) {
    arrived_.store(0, std::memory_order_relaxed);
    barrier_gate_.advance();
  } else {
    barrier_gate_.wait_while(phase);
  }
}

}  // namespace fdllm
