#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "fastdllm/error.h"

#include "base/log.h"
#include "base/quote.h"
#include "cli/bus_guard.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/log_output.h"
#include "cli/options/help_formatter.h"
#include "cli/options/typed_options.h"
#include "cli/terminal/progress_line.h"

namespace fdllm::cli {
namespace {

constexpr Command kCommands[] = {
    {"generate", "Answer prompts", add_generate},
    {"chat", "Talk with a model", add_chat},
    {"infill", "Fill the holes of texts", add_infill},
    {"serve", "Serve a model behind OpenAI's API, with a page", add_serve},
    {"tokenize", "Turn text into token ids, or back", add_tokenize},
    {"inspect", "Show what a checkpoint holds and what it needs", add_inspect},
    {"verify", "Compare the engine with recorded generations and logits", add_verify},
    {"convert", "Write a checkpoint as a GGUF file", add_convert},
    {"eval", "Measure accuracy and speed on questions", add_eval},
    {"bench", "Measure the machine, a forward or a generation", add_bench},
};

bool is_command(std::string_view name) {
  return std::ranges::any_of(kCommands, [&](const Command& c) { return c.name == name; });
}

std::string command_names() {
  std::string names;
  for (const Command& command : kCommands) {
    names += (names.empty() ? "" : ", ") + std::string(command.name);
  }
  return names;
}

int report_error(const std::string& message, int code) {
  std::fflush(stdout);
  write_log("fast-dllm: error: " + message);
  return code;
}

int run_parsed(const CommandBody& body) {
  try {
    const int code = body();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return report_error("stdout: the results could not be written", kExitFailed);
    }
    return code;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) {  // what the user asked for is no error
      std::fflush(stdout);
      write_log(fmt::format("fast-dllm: {}", error.what()));
      return kExitCancelled;
    }
    return report_error(with_typed_options(error.what()), exit_code(error.code()));
  } catch (const std::bad_alloc&) {
    return report_error("out of memory", exit_code(ErrorCode::kOutOfMemory));
  } catch (const std::exception& error) {
    return report_error(error.what(), exit_code(ErrorCode::kInternal));
  }
}

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

int run_program(int argc, const char* const* argv) {
  install_bus_guard();
  set_log_sink([](LogKind kind, std::string_view message) {
    if (kind == LogKind::kRequest) return write_log(message);
    clear_progress();
    write_log(fmt::format("fast-dllm: warning: {}", message));
  });
  CLI::App app{"A native engine for diffusion language models (Fast-dLLM)."};
  app.name("fast-dllm");
  app.set_version_flag("--version", "fast-dllm " FASTDLLM_VERSION, "print the version and exit");
  app.set_help_flag("-h,--help", "print this help and exit");
  app.set_help_all_flag("--help-all", "print help with all options and exit");
  app.footer(fmt::format("fast-dllm COMMAND --help lists a command's options.\n{}", kExitCodeHelp));
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpFormatter>());
  std::vector<std::pair<CLI::App*, CommandBody>> bodies;
  for (const Command& command : commands()) {
    CLI::App* child = app.add_subcommand(std::string(command.name), std::string(command.summary));
    bodies.emplace_back(child, command.add(*child));
  }
  if (argc <= 1) {
    fmt::print(stderr, "{}", app.help());
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version end parsing as "successful errors" and print on stdout.
    if (error.get_exit_code() == 0) return app.exit(error);
    if (const std::string_view first = argv[1]; !first.starts_with('-') && !is_command(first)) {
      return report_error(fmt::format("{} is no command; there are {}; see fast-dllm --help",
                                      quote(first), command_names()),
                          kExitUsage);
    }
    std::string hint = "see fast-dllm --help";
    for (const auto& [child, body] : bodies) {
      if (child->parsed()) hint = fmt::format("see fast-dllm {} --help", child->get_name());
    }
    return report_error(fmt::format("{}; {}", error.what(), hint), kExitUsage);
  } catch (const Error& error) {
    return report_error(with_typed_options(error.what()), exit_code(error.code()));
  }
  for (const auto& [child, body] : bodies) {
    if (child->parsed()) return run_parsed(body);
  }
  return kExitUsage;
}

}  // namespace fdllm::cli
