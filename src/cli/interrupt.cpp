#include "cli/interrupt.h"

#include <atomic>

#include <signal.h>
#include <unistd.h>

namespace fdllm::cli {
namespace {

constexpr char kShowCursor[] = "\x1b[?2026l\x1b[0m\x1b[?25h\r\n";
constexpr char kHideCursor[] = "\x1b[?25l";

std::atomic<bool> g_interrupted{false};
std::atomic<int> g_hidden_on{-1};  // file descriptor of the terminal, or -1
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// What runs in a signal handler may only touch lock-free atomics and call write() and raise().
void show_cursor() {
  const int fd = g_hidden_on.load();
  if (fd < 0) return;
  [[maybe_unused]] const auto written = write(fd, kShowCursor, sizeof kShowCursor - 1);
}

void end_by(int number) {
  show_cursor();
  signal(number, SIG_DFL);
  raise(number);
}

void on_interrupt(int number) {
  if (g_interrupted.exchange(true)) end_by(number);
}

void on_stop(int) {
  show_cursor();
  raise(SIGSTOP);
  const int fd = g_hidden_on.load();
  if (fd >= 0) {
    [[maybe_unused]] const auto written = write(fd, kHideCursor, sizeof kHideCursor - 1);
  }
}

struct sigaction g_before = {};  // what Ctrl-C did before catch_interrupt()

void handle(int number, void (*handler)(int), struct sigaction* before = nullptr) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read from the terminal must end when Ctrl-C is pressed. SA_NODEFER lets the
  // handler raise its own signal.
  action.sa_flags = SA_NODEFER;
  sigaction(number, &action, before);
}

}  // namespace

void catch_signals() {
  handle(SIGINT, on_interrupt);
  handle(SIGTERM, end_by);
  handle(SIGHUP, end_by);
  handle(SIGTSTP, on_stop);
}

void catch_interrupt() {
  handle(SIGINT, on_interrupt, &g_before);
}
void release_interrupt() {
  sigaction(SIGINT, &g_before, nullptr);
}

bool interrupted() {
  return g_interrupted.load();
}
void clear_interrupt() {
  g_interrupted.store(false);
}
void note_cursor_hidden(int fd) {
  g_hidden_on.store(fd);
}
void note_cursor_shown() {
  g_hidden_on.store(-1);
}

}  // namespace fdllm::cli
