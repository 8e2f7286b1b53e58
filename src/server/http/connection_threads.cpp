#include "server/http/connection_threads.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace fdllm::server {
namespace {

// Kept in any case: with them the server goes on where the system has no threads left.
constexpr std::size_t kFirstThreads = 4;
constexpr auto kIdleTime = std::chrono::seconds(10);

std::thread plain_thread(std::function<void()> body) {
  return std::thread(std::move(body));
}

}  // namespace

ConnectionThreads::ConnectionThreads(std::size_t limit, Serve serve, MakeThread make_thread)
    : limit_(std::max<std::size_t>(limit, 1)),
      serve_(std::move(serve)),
      make_thread_(make_thread ? std::move(make_thread) : plain_thread) {
  const std::lock_guard lock(mutex_);
  while (running_.size() < std::min(limit_, kFirstThreads) && add_thread()) {
  }
  if (running_.empty()) {
    fail(ErrorCode::kOutOfMemory,
         "the system gives no thread for connections; raise the limit of processes (ulimit -u, "
         "pids.max)");
  }
}

ConnectionThreads::~ConnectionThreads() {
  stop();
}

bool ConnectionThreads::add_thread() {
  const Handle self = running_.emplace(running_.end());
  try {
    *self = make_thread_([this, self] { work(self); });
    return true;
  } catch (const std::exception&) {
    running_.erase(self);
    return false;
  }
}

void ConnectionThreads::join_ended() {
  for (std::thread& thread : ended_) thread.join();
  ended_.clear();
}

bool ConnectionThreads::serve(Socket& socket) {
  {
    const std::lock_guard lock(mutex_);
    if (stops_) return false;
    join_ended();
    const bool has_idle = running_.size() > busy_ + waiting_.size();
    if (!has_idle && running_.size() >= limit_) return false;
    waiting_.push_back(std::move(socket));
    if (!has_idle && !add_thread()) {
      socket = std::move(waiting_.back());
      waiting_.pop_back();
      return false;
    }
  }
  changed_.notify_one();
  return true;
}

void ConnectionThreads::serve_later(Socket socket) {
  {
    const std::lock_guard lock(mutex_);
    if (stops_) return;
    waiting_.push_back(std::move(socket));
  }
  changed_.notify_one();
}

void ConnectionThreads::work(Handle self) {
  std::unique_lock lock(mutex_);
  while (true) {
    const bool is_called =
        changed_.wait_for(lock, kIdleTime, [this] { return stops_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      if (stops_) return;
      if (is_called || running_.size() <= kFirstThreads) continue;
      ended_.splice(ended_.end(), running_, self);
      return;
    }
    Socket socket = std::move(waiting_.front());
    waiting_.pop_front();
    ++busy_;
    lock.unlock();
    serve_(std::move(socket));
    lock.lock();
    --busy_;
  }
}

void ConnectionThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
    join_ended();
  }
  changed_.notify_all();
  // Nothing is added or moved any more.
  for (std::thread& thread : running_) {
    if (thread.joinable()) thread.join();
  }
}

std::size_t ConnectionThreads::threads() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

}  // namespace fdllm::server
