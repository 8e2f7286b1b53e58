#pragma once
#include <cstdint>
#include <string>

#include "eval/task.h"

namespace fdllm::eval {

/// Limits of a program that a model wrote (docs/eval.md says what they contain and what not).
struct SandboxOptions {
  std::string python = "python3";  ///< looked up in PATH
  double timeout_seconds = 10;     ///< wall clock; the processor's time has the same limit
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;  ///< address space
  std::uint64_t file_bytes = std::uint64_t{1} << 20;    ///< of any file that it writes
};

enum class Isolation : std::uint8_t {
  kNamespaces,  ///< own user, mount, network, process and IPC namespaces, everything read-only
  kLimits,      ///< resource limits only
};

/// What this machine allows an unprivileged process.
Isolation available_isolation();

struct ProgramOutcome {
  bool passed = false;
  std::string verdict;  ///< "passed", "failed: ...", "timed out"
};

/// The path of a Python that was named. Throws kNotFound.
std::string find_python(const std::string& python);

/// Runs code and tests in a process of their own. Throws kNotFound where Python can't be started;
/// whatever the program itself does is an outcome.
ProgramOutcome run_program(const Program& program, const SandboxOptions& options);

}  // namespace fdllm::eval
