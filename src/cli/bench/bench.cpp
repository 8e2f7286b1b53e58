#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_loss.h"
#include "cli/command.h"

namespace fdllm::cli {
namespace {

constexpr Command kBenchCommands[] = {
    {"machine", "Measure what the machine can do at most", add_bench_machine},
    {"step", "Time one forward, operation by operation", add_bench_step},
    {"generate", "Time whole generations", add_bench_generate},
    {"costs", "Time forwards of many numbers of rows", add_bench_costs},
    {"ladder", "Measure accuracy and speed of many ways to decode", add_bench_ladder},
    {"similarity", "Compare K and V of neighbouring steps", add_bench_similarity},
    {"loss", "Measure the masked loss of a model on texts", add_bench_loss},
};

}  // namespace

CommandBody add_bench(CLI::App& app) {
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, CommandBody>> bodies;
  for (const Command& command : kBenchCommands) {
    CLI::App* child = app.add_subcommand(std::string(command.name), std::string(command.summary));
    bodies.emplace_back(child, command.add(*child));
  }
  return [bodies = std::move(bodies)] {
    for (const auto& [child, body] : bodies) {
      if (child->parsed()) return body();
    }
    return 0;
  };
}

}  // namespace fdllm::cli
