#pragma once
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Python's format % arguments: a tuple gives one value for each conversion, a dictionary those
/// that are asked for by name, anything else the only one.
std::string percent_format(std::string_view format, const Value& arguments, Runtime& runtime);

/// Python's str.format.
std::string brace_format(std::string_view format, const Arguments& arguments, Runtime& runtime);

}  // namespace fdllm::jinja
