#include "cli/serve/serve_lifetime.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/check.h"
#include "base/mapping_table.h"
#include "cli/exit_code.h"
#include "cli/log_output.h"

namespace fdllm::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr auto kFilePoll = std::chrono::seconds(1);
constexpr auto kTrim = std::chrono::seconds(5);
constexpr auto kLastAnswers = std::chrono::seconds(5);  // of a server that can't go on

std::atomic<int> g_signals{0};
static_assert(std::atomic<int>::is_always_lock_free);

/// Why a server can't go on, and the exit code that says so.
struct Failure {
  std::string message;
  int exit = 0;
  explicit operator bool() const { return exit != 0; }
};

Failure failure_of(const server::Server& server) {
  const std::string failure = server.failure();
  if (failure.empty()) return {};
  return {"no connections can be accepted any more (" + failure +
              "); ending, so that the server can be started again",
          kExitAddress};
}

/// Where a file of the model that is still read was changed, answers could be wrong.
Failure failure_of_files() {
  try {
    check_mapped_files();
  } catch (const Error& error) {
    return {error.what(), exit_code(error.code())};
  }
  return {};
}

/// The allocator keeps what requests have freed, for threads that may never need as much again.
void return_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

struct sigaction counting() {
  struct sigaction action = {};
  action.sa_handler = [](int) { ++g_signals; };
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  return action;
}

/// Drains on a thread, which is made before it is needed: then there may be none to be had.
class Drainer {
 public:
  explicit Drainer(server::Server& server) {
    try {
      thread_ = std::thread([this, &server] { drain(server); });
    } catch (const std::system_error& error) {
      fail(ErrorCode::kOutOfMemory, "no thread to end the server with: {}", error.what());
    }
  }
  ~Drainer() {
    begin();
    thread_.join();
  }
  Drainer(const Drainer&) = delete;
  Drainer& operator=(const Drainer&) = delete;

  void begin() {
    {
      const std::lock_guard lock(mutex_);
      begins_ = true;
    }
    changed_.notify_all();
  }
  bool is_done() const { return is_done_; }

 private:
  void drain(server::Server& server) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return begins_; });
    }
    server.drain();
    is_done_ = true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool begins_ = false;
  std::atomic<bool> is_done_{false};
  std::thread thread_;
};

}  // namespace

void keep_little_free_memory() {
#ifdef __GLIBC__
  // Left alone, the allocator raises both bounds to what the largest request has taken, and has an
  // arena for each thread, whose top malloc_trim() does not give back.
  constexpr int kBound = 1 << 20;
  constexpr int kArenas = 4;
  mallopt(M_MMAP_THRESHOLD, kBound);
  mallopt(M_TRIM_THRESHOLD, kBound);
  mallopt(M_ARENA_MAX, kArenas);
#endif
}

void catch_sigterm_while_loading() {
  struct sigaction action = counting();
  action.sa_flags |= static_cast<int>(SA_RESETHAND);
  sigaction(SIGTERM, &action, nullptr);
}

bool is_told_to_end() {
  return g_signals > 0;
}

void catch_server_signals() {
  struct sigaction action = counting();
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

int serve_until_ended(server::Server& server) {
  Drainer drainer(server);
  Failure failure;
  auto next_look = Clock::now() + kFilePoll;
  auto next_trim = Clock::now() + kTrim;
  while (g_signals < 1 && !failure) {
    failure = failure_of(server);
    if (!failure && Clock::now() >= next_look) {
      failure = failure_of_files();
      next_look = Clock::now() + kFilePoll;
    }
    if (Clock::now() >= next_trim) {
      return_free_memory();
      next_trim = Clock::now() + kTrim;
    }
    if (!failure) std::this_thread::sleep_for(kPoll);
  }
  auto end = Clock::time_point::max();
  server.refuse_new();  // before it is said
  if (failure) {
    write_log("fast-dllm: error: " + failure.message);
    end = Clock::now() + kLastAnswers;
  } else {
    write_log("fast-dllm: draining; a second signal ends what is being answered");
  }
  drainer.begin();
  while (!drainer.is_done() && g_signals < 2 && Clock::now() < end) {
    std::this_thread::sleep_for(kPoll);
  }
  if (!drainer.is_done()) {
    write_log("fast-dllm: ending what is being answered");
    server.abort();
  }
  return failure.exit;
}

}  // namespace fdllm::cli
