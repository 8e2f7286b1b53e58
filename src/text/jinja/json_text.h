#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// The arguments of Python's json.dumps that templates give.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  ///< what a level is indented with; absent: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// Python's json.dumps. Throws for values that have no JSON form.
std::string to_json(const Value& value, const JsonStyle& style, Runtime& runtime);

/// Reads JSON, keeping the order of keys. Throws kInvalidArgument naming `source`.
Value from_json(std::string_view text, std::string_view source, Runtime& runtime);

}  // namespace fdllm::jinja
