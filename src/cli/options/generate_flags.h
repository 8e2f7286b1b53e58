#pragma once
#include "fastdllm/options.h"

namespace CLI {
class App;
}

namespace fdllm::cli {

/// Adds every option of generate_options(); parsing writes into `options`, which must outlive it.
void add_generate_options(CLI::App& app, GenerateOptions& options);

/// Says on stderr which of the given options the rule does not look at; whether there is one.
bool tell_ignored(const GenerateOptions& given, const GenerateOptions& resolved);

}  // namespace fdllm::cli
