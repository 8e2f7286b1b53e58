#pragma once
#include <string_view>

#include "fastdllm/engine.h"

namespace fdllm::cli {

/// Says on stderr, once in a process, that a model has no chat template and what that means for
/// what is done (`consequence`, a sentence's end); nothing where it has one.
void warn_without_template(const Engine& engine, std::string_view consequence);

}  // namespace fdllm::cli
