#pragma once
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Whether jinja2 has the filter `name`, supported here or not.
bool is_filter(std::string_view name);
/// value | name(arguments). Throws kUnsupported for the filters without a meaning in a prompt
/// (random, urlize, pprint, ...).
Value run_filter(std::string_view name, const Value& value, const Arguments& arguments,
                 Runtime& runtime);

}  // namespace fdllm::jinja
