#pragma once
#include <vector>

#include "fastdllm/options.h"

namespace fdllm {

/// The options about rows: which K/V are kept, and which rows a forward runs and attends.
std::vector<GenerateOption> row_options();

}  // namespace fdllm
