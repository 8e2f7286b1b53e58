#include "text/jinja/subscripts.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/macro.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja {
namespace {

std::optional<Value> loop_attribute(Loop& loop, std::string_view name) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto length = [&] {
    loop.reaches(SIZE_MAX - 1);
    return static_cast<std::int64_t>(loop.items.size());
  };
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return length() - index;
  if (name == "revindex0") return length() - index - 1;
  if (name == "length") return length();
  if (name == "first") return index == 0;
  if (name == "last") return !loop.reaches(loop.index + 1);
  if (name == "depth") return loop.depth;
  if (name == "depth0") return loop.depth - 1;
  if (name == "previtem") {
    return index > 0 ? loop.items[loop.index - 1] : undefined_value("there is no previous item");
  }
  if (name == "nextitem") {
    return loop.reaches(loop.index + 1) ? loop.items[loop.index + 1]
                                        : undefined_value("there is no next item");
  }
  return std::nullopt;
}

std::optional<Value> macro_attribute(const Callable& callable, std::string_view name,
                                     Runtime& runtime) {
  if (callable.kind != CallableKind::kMacro) return std::nullopt;
  const MacroDefinition& definition = *callable.macro->definition;
  if (name == "name") return definition.name.empty() ? Value(None{}) : text_value(definition.name);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const auto& parameter : definition.parameters) {
      names.push_back(runtime.text(parameter.name));
    }
    return runtime.list(std::move(names), ListKind::kTuple);
  }
  if (name == "catch_kwargs") return definition.uses_keywords;
  if (name == "catch_varargs") return definition.uses_arguments;
  if (name == "caller") return definition.uses_caller;
  return std::nullopt;
}

std::optional<Value> list_item(const List& list, std::int64_t index) {
  const auto size = std::ssize(list.items);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return list.items[static_cast<std::size_t>(index)];
}

std::optional<Value> text_item(const Text& text, std::int64_t index, Runtime& runtime) {
  runtime.budget().charge_bytes(text->size());
  if (index < 0) index += count_characters(*text);
  if (index < 0) return std::nullopt;
  const std::string_view rest = std::string_view(*text).substr(offset_of_character(*text, index));
  if (rest.empty()) return std::nullopt;
  return Text{std::make_shared<const std::string>(characters_of(rest.substr(0, 4))[0]),
              text.is_safe};
}

bool has_index(ListKind kind) {
  return kind != ListKind::kKeys && kind != ListKind::kValues && kind != ListKind::kItems;
}

/// object[key] as Python has it, without attributes.
std::optional<Value> own_item(const Value& object, const Value& key, Runtime& runtime) {
  if (const auto* dict = std::get_if<const Dict*>(&object)) {
    if (!is_hashable(key)) return std::nullopt;
    runtime.budget().charge((*dict)->items.size());
    runtime.budget().charge_bytes(size_of_value(key));
    const Value* found = (*dict)->find(key);
    return found != nullptr ? std::optional(*found) : std::nullopt;
  }
  const auto index = as_integer(key);
  if (!index) return std::nullopt;
  if (const auto* list = std::get_if<const List*>(&object)) {
    return has_index((*list)->kind) ? list_item(**list, *index) : std::nullopt;
  }
  if (const auto* text = std::get_if<Text>(&object)) return text_item(*text, *index, runtime);
  return std::nullopt;
}

struct Slice {
  std::int64_t begin = 0, end = 0, step = 1;
};

/// The slice of `size` items, its bounds within them; absent where a bound is no whole number.
std::optional<Slice> settle_slice(const SliceBounds& bounds, std::int64_t size, Runtime& runtime) {
  std::array<std::optional<std::int64_t>, 3> given;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (!bounds[i] || holds<None>(*bounds[i])) continue;
    given[i] = as_integer(*bounds[i]);
    if (!given[i]) return std::nullopt;
  }
  const std::int64_t step = given[2].value_or(1);
  if (step == 0) runtime.error("a slice with step 0");
  const std::int64_t lowest = step > 0 ? 0 : -1;
  const std::int64_t highest = step > 0 ? size : size - 1;
  const auto bound = [&](std::optional<std::int64_t> position, std::int64_t absent) {
    if (!position) return absent;
    return std::clamp(*position < 0 ? *position + size : *position, lowest, highest);
  };
  return Slice{bound(given[0], step > 0 ? 0 : size - 1), bound(given[1], step > 0 ? size : -1),
               step};
}

std::vector<std::size_t> slice_indices(const Slice& slice, Runtime& runtime) {
  std::vector<std::size_t> indices;
  for (std::int64_t index = slice.begin; slice.step > 0 ? index < slice.end : index > slice.end;) {
    indices.push_back(static_cast<std::size_t>(index));
    if (__builtin_add_overflow(index, slice.step, &index)) break;
  }
  runtime.budget().charge_bytes(64 + indices.size() * sizeof(Value));
  return indices;
}

Value slice_list(const List& list, const Slice& slice, Runtime& runtime) {
  std::vector<Value> taken;
  for (const std::size_t index : slice_indices(slice, runtime)) taken.push_back(list.items[index]);
  if (list.kind != ListKind::kRange) {
    return runtime.list(std::move(taken),
                        list.kind == ListKind::kGroup ? ListKind::kTuple : list.kind);
  }
  // The bounds are printed only; a bound that no range can have may wrap.
  const auto bound = [&](std::int64_t index) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(list.range[0]) +
                                     static_cast<std::uint64_t>(index) *
                                         static_cast<std::uint64_t>(list.range[2]));
  };
  const auto step = static_cast<std::int64_t>(static_cast<std::uint64_t>(list.range[2]) *
                                              static_cast<std::uint64_t>(slice.step));
  return runtime.arena().range(std::move(taken), {bound(slice.begin), bound(slice.end), step});
}

}  // namespace

std::optional<Value> own_attribute(const Value& object, std::string_view name, Runtime& runtime) {
  if (name.starts_with('_')) return std::nullopt;
  if (auto* const* loop = std::get_if<Loop*>(&object)) {
    if (auto found = loop_attribute(**loop, name)) return found;
  } else if (auto* const* space = std::get_if<Namespace*>(&object)) {
    const auto found = (*space)->attributes.find(name);
    return found != (*space)->attributes.end() ? std::optional(found->second) : std::nullopt;
  } else if (const auto* callable = std::get_if<const Callable*>(&object)) {
    return macro_attribute(**callable, name, runtime);
  } else if (auto* const* cycler = std::get_if<Cycler*>(&object)) {
    if (name == "current") return (*cycler)->items[(*cycler)->position];
  } else if (const auto* list = std::get_if<const List*>(&object)) {
    if ((*list)->kind == ListKind::kGroup && (name == "grouper" || name == "list")) {
      return (*list)->items[name == "list" ? 1 : 0];
    }
  }
  if (!has_method(object, name)) return std::nullopt;
  runtime.budget().charge(8);
  return runtime.arena().callable({CallableKind::kMethod, std::string(name), object});
}

Value get_attribute(const Value& object, std::string_view name, Runtime& runtime) {
  runtime.require_defined(object);
  if (auto found = own_attribute(object, name, runtime)) return *std::move(found);
  if (is_unsafe_method(object, name)) {
    return undefined_value(fmt::format("{} of {} would change it, which templates must not do",
                                       quote(name), kind_name(object)));
  }
  if (const auto* dict = std::get_if<const Dict*>(&object)) {
    runtime.budget().charge((*dict)->items.size());
    if (const Value* found = (*dict)->find(name)) return *found;
  }
  return undefined_value(fmt::format("{} has no attribute {}", kind_name(object), quote(name)));
}

Value get_item(const Value& object, const Value& key, Runtime& runtime) {
  runtime.require_defined(object);
  if (auto found = own_item(object, key, runtime)) return *std::move(found);
  if (const auto* name = std::get_if<Text>(&key)) {
    if (auto found = own_attribute(object, **name, runtime)) return *std::move(found);
    return undefined_value(fmt::format("{} has no item {}", kind_name(object), quote(**name)));
  }
  return undefined_value(fmt::format("{} has no such item", kind_name(object)));
}

Value get_slice(const Value& object, const SliceBounds& bounds, Runtime& runtime) {
  runtime.require_defined(object);
  if (const auto* list = std::get_if<const List*>(&object); list && has_index((*list)->kind)) {
    if (const auto slice = settle_slice(bounds, std::ssize((*list)->items), runtime)) {
      return slice_list(**list, *slice, runtime);
    }
  } else if (const auto* text = std::get_if<Text>(&object)) {
    runtime.budget().charge_bytes((*text)->size() * sizeof(std::string_view));
    const std::vector<std::string_view> characters = characters_of(**text);
    if (const auto slice = settle_slice(bounds, std::ssize(characters), runtime)) {
      std::string taken;
      for (const std::size_t index : slice_indices(*slice, runtime)) taken += characters[index];
      return Text{std::make_shared<const std::string>(std::move(taken)), text->is_safe};
    }
  }
  runtime.error(fmt::format("{} has no such slice", kind_name(object)));
}

}  // namespace fdllm::jinja
