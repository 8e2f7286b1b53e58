#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/attribute_path.h"
#include "text/jinja/comparison.h"
#include "text/jinja/filter_functions.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/python_text.h"
#include "text/jinja/subscripts.h"

namespace fdllm::jinja::filters {

Value attr(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "attr", arguments, {"name"}, 1);
  const std::string& name = bound.text(0);
  runtime.require_defined(value);
  if (auto found = own_attribute(value, name, runtime)) return *std::move(found);
  return undefined_value(fmt::format("{} has no attribute {}", kind_name(value), quote(name)));
}

Value default_value(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "default", arguments, {"default_value", "boolean"});
  const bool replaces = holds<Undefined>(value) || (bound.flag(1) && !is_true(value));
  return replaces ? bound.value(0, text_value("")) : value;
}

Value length(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "length", arguments, {});
  if (const auto* text = std::get_if<Text>(&value)) {
    runtime.budget().charge_bytes((*text)->size());
    return count_characters(**text);
  }
  if (const auto* list = std::get_if<const List*>(&value)) {
    return std::int64_t{std::ssize((*list)->items)};
  }
  if (const auto* dict = std::get_if<const Dict*>(&value)) {
    return std::int64_t{std::ssize((*dict)->items)};
  }
  if (auto* const* loop = std::get_if<Loop*>(&value)) {
    (*loop)->reaches(SIZE_MAX - 1);
    return std::int64_t{std::ssize((*loop)->items)};
  }
  if (!holds<Undefined>(value)) runtime.error(fmt::format("{} has no length", kind_name(value)));
  return std::int64_t{0};
}

Value list(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "list", arguments, {});
  return runtime.list(runtime.iterate(value));
}

Value items(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "items", arguments, {});
  return runtime.iterator([value, &runtime]() -> std::vector<Value> {
    if (holds<Undefined>(value)) return {};
    if (!holds<const Dict*>(value)) {
      runtime.error(fmt::format("'items' expects a dictionary, found {}", kind_name(value)));
    }
    return runtime.iterate(call_method(value, "items", {}, runtime));
  });
}

Value join(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "join", arguments, {"d", "attribute"});
  const std::string separator = bound.has(0) ? to_text(bound.at(0), runtime) : "";
  const AttributePath path(bound.value(1, None{}), runtime);
  std::string joined;
  bool is_first = true;
  for (const Value& item : runtime.iterate(value)) {
    if (!is_first) joined += separator;
    is_first = false;
    const std::string text = to_text(path.of(item, None{}, runtime), runtime);
    joined += text;
    runtime.budget().charge_bytes(separator.size() + text.size());
  }
  return runtime.text(std::move(joined));
}

Value first(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "first", arguments, {});
  if (auto* const* iterator = std::get_if<Iterator*>(&value)) {
    Iterator& source = **iterator;
    if (source.next < source.items().size()) return source.items()[source.next++];
  }
  const std::vector<Value> all = runtime.iterate(value);
  return all.empty() ? undefined_value("no first item, the sequence is empty") : all.front();
}

Value last(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "last", arguments, {});
  // Python's reversed() takes neither iterators nor, once they are gone, undefined values.
  if (holds<Iterator*>(value)) runtime.error("'last' of an iterator; make a list of it before");
  const std::vector<Value> all = runtime.iterate(value);
  return all.empty() ? undefined_value("no last item, the sequence is empty") : all.back();
}

Value reverse(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "reverse", arguments, {});
  if (const auto* text = std::get_if<Text>(&value)) {
    std::vector<std::string_view> characters = characters_of(**text);
    runtime.budget().charge_bytes((*text)->size() * sizeof(std::string_view));
    std::string reversed;
    for (auto it = characters.rbegin(); it != characters.rend(); ++it) reversed += *it;
    return Text{std::make_shared<const std::string>(std::move(reversed)), text->is_safe};
  }
  std::vector<Value> all = runtime.iterate(value);
  std::reverse(all.begin(), all.end());
  if (holds<Iterator*>(value)) return runtime.list(std::move(all));
  return runtime.iterator([all = std::move(all)] { return all; });
}

Value batch(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "batch", arguments, {"linecount", "fill_with"}, 1);
  const Value count = bound.at(0);
  const Value fill = bound.value(1, None{});
  return runtime.iterator([value, count, fill, &runtime] {
    std::vector<Value> rows;
    std::vector<Value> row;
    for (Value& item : runtime.iterate(value)) {
      if (runtime.equal(std::int64_t{std::ssize(row)}, count)) {
        rows.push_back(runtime.list(std::exchange(row, {})));
      }
      row.push_back(std::move(item));
    }
    if (row.empty()) return rows;
    if (!holds<None>(fill) && is_less(std::int64_t{std::ssize(row)}, count, runtime)) {
      const auto size = as_integer(count);
      if (!size) runtime.error("'batch' expects a whole number");
      const auto missing = static_cast<std::size_t>(*size - std::ssize(row));
      runtime.budget().charge_bytes(sizeof(Value), missing);
      row.insert(row.end(), missing, fill);
    }
    rows.push_back(runtime.list(std::move(row)));
    return rows;
  });
}

Value slice(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "slice", arguments, {"slices", "fill_with"}, 1);
  const Value count = bound.at(0);
  const Value fill = bound.value(1, None{});
  return runtime.iterator([value, count, fill, &runtime] {
    const auto given = as_integer(count);
    if (!given || *given == 0) runtime.error("'slice' expects a whole number other than 0");
    const std::vector<Value> all = runtime.iterate(value);
    const std::int64_t slices = std::max<std::int64_t>(*given, 0);
    const std::int64_t each = slices > 0 ? std::ssize(all) / slices : 0;
    const std::int64_t longer = slices > 0 ? std::ssize(all) % slices : 0;
    std::vector<Value> parts;
    auto next = all.begin();
    for (std::int64_t i = 0; i < slices; ++i) {
      const auto end = next + static_cast<std::ptrdiff_t>(each + (i < longer ? 1 : 0));
      std::vector<Value> part(next, end);
      next = end;
      if (!holds<None>(fill) && i >= longer) part.push_back(fill);
      parts.push_back(runtime.list(std::move(part)));
    }
    return parts;
  });
}

}  // namespace fdllm::jinja::filters
