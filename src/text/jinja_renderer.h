#pragma once
#include <string>

#include "text/jinja_ast.h"
#include "text/jinja_builtins.h"

namespace fdllm::jinja {

/// Runs `block` with `variables` and returns what it prints. Throws kInvalidArgument where the
/// template does (raise_exception) or treats values as what they are not, kUnsupported outside the
/// subset or beyond the budget; all with the line.
std::string render(const Block& block, const Dict& variables, Arena& arena, Budget budget);

}  // namespace fdllm::jinja
