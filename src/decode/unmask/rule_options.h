#pragma once
#include <vector>

#include "fastdllm/options.h"

namespace fdllm {

/// The options that choose a rule and give it numbers: all that rules declare.
std::vector<GenerateOption> rule_options();
/// Those that modifiers declare.
std::vector<GenerateOption> modifier_options();

}  // namespace fdllm
