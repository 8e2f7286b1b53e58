#pragma once
#include "cli/command.h"

namespace fdllm::cli {

// The commands of `fast-dllm bench`, a file each; bench.cpp lists them.
CommandBody add_bench_machine(CLI::App& app);
CommandBody add_bench_step(CLI::App& app);
CommandBody add_bench_generate(CLI::App& app);
CommandBody add_bench_similarity(CLI::App& app);
CommandBody add_bench_costs(CLI::App& app);
CommandBody add_bench_ladder(CLI::App& app);

}  // namespace fdllm::cli
