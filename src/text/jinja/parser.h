#pragma once
#include <string_view>

#include "text/jinja/ast.h"

namespace fdllm::jinja {

/// Throws kCorruptFile for malformed templates and kUnsupported for constructs outside the
/// language, both with the line.
Block parse(std::string_view source);

}  // namespace fdllm::jinja
