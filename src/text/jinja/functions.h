#pragma once
#include <ctime>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Whether templates have a function `name` without defining it.
bool is_function(std::string_view name);
Value call_function(std::string_view name, const Arguments& arguments, Runtime& runtime);

/// Python's datetime.strftime of a local time without a zone, as it is on Linux: what is no
/// directive stays.
std::string format_time(std::string_view format, const std::tm& time, Runtime& runtime);

}  // namespace fdllm::jinja
