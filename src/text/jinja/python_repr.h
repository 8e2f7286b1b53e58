#pragma once
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Python's str(): what printing a value gives. Throws kUnsupported for functions and iterators,
/// whose Python notation holds an address.
std::string to_text(const Value& value, Runtime& runtime);
/// Python's repr(): as within a list.
std::string to_repr(const Value& value, Runtime& runtime);

/// A float's shortest digits that read back as the same, as Python prints them.
std::string float_repr(double value);
/// A string in quotes with escapes.
std::string text_repr(std::string_view text);

}  // namespace fdllm::jinja
