#pragma once
#include <string_view>

#include "text/jinja_ast.h"

namespace fdllm::jinja {

/// Throws kCorruptFile for malformed templates and kUnsupported for constructs outside the subset,
/// both with the line.
Block parse(std::string_view source);

}  // namespace fdllm::jinja
