#pragma once
#include <string>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Runs `block` with `variables` and returns what it prints. Throws kInvalidArgument where the
/// template does (raise_exception) or treats values as what they are not, kUnsupported outside the
/// language or beyond the budget; all with the line.
std::string render(const Block& block, const Dict& variables, Runtime& runtime);

}  // namespace fdllm::jinja
