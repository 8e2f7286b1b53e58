#pragma once
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Whether Python's type of `object` has a method that templates may call.
bool has_method(const Value& object, std::string_view name);
/// Whether it has one that would change the object, which the sandbox refuses.
bool is_unsafe_method(const Value& object, std::string_view name);
/// Calls object.name(arguments), of which has_method is true.
Value call_method(const Value& object, std::string_view name, const Arguments& arguments,
                  Runtime& runtime);

/// The same for strings.
bool has_text_method(std::string_view name);
Value call_text_method(const Text& text, std::string_view name, const Arguments& arguments,
                       Runtime& runtime);

}  // namespace fdllm::jinja
