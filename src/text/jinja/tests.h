#pragma once
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Whether jinja2 has the test `name`.
bool is_test(std::string_view name);
/// value is name(arguments).
bool run_test(std::string_view name, const Value& value, const Arguments& arguments,
              Runtime& runtime);

}  // namespace fdllm::jinja
