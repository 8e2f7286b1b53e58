#pragma once
#include <array>
#include <optional>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Begin, end and step of a slice, absent where they are not written.
using SliceBounds = std::array<std::optional<Value>, 3>;

/// object.name: a method or attribute, else an item; undefined where there is neither.
Value get_attribute(const Value& object, std::string_view name, Runtime& runtime);
/// object[key]: an item, else a method or attribute.
Value get_item(const Value& object, const Value& key, Runtime& runtime);
/// object.name without the items: what the filter `attr` gives.
std::optional<Value> own_attribute(const Value& object, std::string_view name, Runtime& runtime);
Value get_slice(const Value& object, const SliceBounds& bounds, Runtime& runtime);

}  // namespace fdllm::jinja
