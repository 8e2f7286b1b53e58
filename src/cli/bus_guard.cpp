#include "cli/bus_guard.h"

#include <csignal>
#include <cstring>

#include <unistd.h>

#include "base/mapping_table.h"
#include "cli/exit_code.h"

namespace fdllm::cli {
namespace {

// Only what a signal handler may call.
void write_text(const char* text) {
  const ssize_t ignored = ::write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
}

void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
  const char* file = mapped_file_at(info->si_addr);
  if (file == nullptr) {
    // Not a file of ours: the read is repeated and the signal does what it always does.
    std::signal(signal, SIG_DFL);
    return;
  }
  write_text("fast-dllm: error: ");
  write_text(file);
  write_text(": the file was shortened, or can't be read any more, while it was in use\n");
  ::_exit(exit_code(ErrorCode::kCorruptFile));
}

}  // namespace

void install_bus_guard() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace fdllm::cli
