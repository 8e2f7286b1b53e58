#pragma once
#include <string>
#include <string_view>

#include "fields/values.h"

namespace fdllm::fields {

/// Calls of functions that a model made, as chat templates take them: a list in JSON, the members
/// in OpenAI's order, with arguments that are an object where they were given as its text. Throws
/// FieldError.
std::string read_tool_calls(std::string_view field, const Json& value);

/// JSON Schema of what read_tool_calls() takes, or nothing.
Json tool_calls_schema();

}  // namespace fdllm::fields
