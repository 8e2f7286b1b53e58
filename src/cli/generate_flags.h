#pragma once
#include "fastdllm/options.h"

namespace CLI {
class App;
}

namespace fdllm::cli {

/// Adds every option of generate_options(); parsing writes into `options`, which must outlive it.
void add_generate_options(CLI::App& app, GenerateOptions& options);

}  // namespace fdllm::cli
