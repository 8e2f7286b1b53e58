#pragma once
#include <functional>
#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace fdllm::cli {

/// Runs a parsed sub-command; the result is the exit code. Throws Error.
using CommandBody = std::function<int()>;

/// A sub-command of `fast-dllm`. Adding one is a file and a line in commands().
struct Command {
  std::string_view name;
  std::string_view summary;
  /// Adds its options to `app` and gives what to run after parsing.
  CommandBody (*add)(CLI::App& app);
};

CommandBody add_generate(CLI::App& app);
CommandBody add_chat(CLI::App& app);
CommandBody add_infill(CLI::App& app);
CommandBody add_serve(CLI::App& app);
CommandBody add_tokenize(CLI::App& app);
CommandBody add_inspect(CLI::App& app);
CommandBody add_verify(CLI::App& app);
CommandBody add_convert(CLI::App& app);
CommandBody add_eval(CLI::App& app);
CommandBody add_bench(CLI::App& app);

std::span<const Command> commands();

/// The whole program: parses, runs, and turns errors into a message and an exit code.
int run_program(int argc, const char* const* argv);

}  // namespace fdllm::cli
