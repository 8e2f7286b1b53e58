#pragma once
#include "cli/command.h"

namespace fdllm::cli {

/// `fast-dllm bench loss`: the masked loss of a model on the texts of a file.
CommandBody add_bench_loss(CLI::App& app);

}  // namespace fdllm::cli
