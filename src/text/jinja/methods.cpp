#include "text/jinja/methods.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/quote.h"

namespace fdllm::jinja {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value dict_get(const Dict& dict, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "get", arguments, {"key", "default"}, 1);
  if (!is_hashable(bound.at(0))) {
    runtime.error(fmt::format("{} can't be a key", kind_name(bound.at(0))));
  }
  runtime.budget().charge_bytes(size_of_value(bound.at(0)));
  const Value* found = dict.find(bound.at(0));
  return found != nullptr ? *found : bound.value(1, None{});
}

Value dict_method(const Dict& dict, std::string_view name, const Arguments& arguments,
                  Runtime& runtime) {
  runtime.budget().charge(dict.items.size() + 1);
  if (name == "get") return dict_get(dict, arguments, runtime);
  const Bound bound(runtime, name, arguments, {});
  if (name == "copy") return runtime.arena().dict(dict.items);
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    if (name == "keys") {
      items.push_back(key);
    } else if (name == "values") {
      items.push_back(value);
    } else {
      items.push_back(runtime.list({key, value}, ListKind::kTuple));
    }
  }
  return runtime.list(std::move(items), name == "keys"     ? ListKind::kKeys
                                        : name == "values" ? ListKind::kValues
                                                           : ListKind::kItems);
}

Value list_method(const List& list, std::string_view name, const Arguments& arguments,
                  Runtime& runtime) {
  if (name == "copy") {
    const Bound bound(runtime, name, arguments, {});
    return runtime.list(list.items);
  }
  const Bound bound(runtime, name, arguments, {"value", "start", "stop"}, 1);
  if (name == "count") {
    std::int64_t count = 0;
    for (const Value& item : list.items) count += runtime.equal(item, bound.at(0)) ? 1 : 0;
    return count;
  }
  const auto size = std::ssize(list.items);
  const auto settle = [&](std::int64_t position) {
    return std::clamp<std::int64_t>(position < 0 ? position + size : position, 0, size);
  };
  const std::int64_t stop = settle(bound.integer(2, size));
  for (std::int64_t i = settle(bound.integer(1, 0)); i < stop; ++i) {
    if (runtime.equal(list.items[static_cast<std::size_t>(i)], bound.at(0))) return i;
  }
  runtime.error(fmt::format("{} is not in the list", kind_name(bound.at(0))));
}

Value loop_method(Loop& loop, std::string_view name, const Arguments& arguments, Runtime& runtime) {
  if (!arguments.named.empty()) runtime.error("loop." + std::string(name) + " takes no names");
  if (name == "cycle") {
    if (arguments.positional.empty()) runtime.error("loop.cycle without values");
    return arguments.positional[loop.index % arguments.positional.size()];
  }
  const bool same = loop.last_changed && loop.last_changed->size() == arguments.positional.size() &&
                    std::equal(arguments.positional.begin(), arguments.positional.end(),
                               loop.last_changed->begin(),
                               [&](const Value& a, const Value& b) { return runtime.equal(a, b); });
  if (!same) loop.last_changed = arguments.positional;
  return !same;
}

Value cycler_method(Cycler& cycler, std::string_view name, const Arguments& arguments,
                    Runtime& runtime) {
  const Bound bound(runtime, name, arguments, {});
  if (name == "reset") {
    cycler.position = 0;
    return None{};
  }
  const Value current = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return current;
}

Value number_method(const Value& number, std::string_view name, const Arguments& arguments,
                    Runtime& runtime) {
  const Bound bound(runtime, name, arguments, {});
  if (name == "is_integer") {
    const double value = std::get<double>(number);
    return std::isfinite(value) && value == std::floor(value);
  }
  const std::int64_t value = as_integer(number).value_or(0);
  std::uint64_t rest =
      value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::int64_t bits = 0;
  for (; rest != 0; rest >>= 1) ++bits;
  return bits;
}

}  // namespace

bool has_method(const Value& object, std::string_view name) {
  if (holds<Text>(object)) return has_text_method(name);
  if (holds<const Dict*>(object)) {
    return is_one_of(name, {"get", "items", "keys", "values", "copy"});
  }
  if (const auto* list = std::get_if<const List*>(&object)) {
    switch ((*list)->kind) {
      case ListKind::kList:
        return is_one_of(name, {"index", "count", "copy"});
      case ListKind::kTuple:
      case ListKind::kGroup:
      case ListKind::kRange:
        return is_one_of(name, {"index", "count"});
      default:
        return false;
    }
  }
  if (holds<Loop*>(object)) return is_one_of(name, {"cycle", "changed"});
  if (holds<Cycler*>(object)) return is_one_of(name, {"next", "reset"});
  if (holds<double>(object)) return name == "is_integer";
  return as_integer(object) && name == "bit_length";
}

bool is_unsafe_method(const Value& object, std::string_view name) {
  if (holds<const Dict*>(object)) {
    return is_one_of(name, {"clear", "pop", "popitem", "setdefault", "update"});
  }
  const auto* list = std::get_if<const List*>(&object);
  return list != nullptr && (*list)->kind == ListKind::kList &&
         is_one_of(name,
                   {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"});
}

Value call_method(const Value& object, std::string_view name, const Arguments& arguments,
                  Runtime& runtime) {
  if (const auto* text = std::get_if<Text>(&object)) {
    return call_text_method(*text, name, arguments, runtime);
  }
  if (const auto* dict = std::get_if<const Dict*>(&object)) {
    return dict_method(**dict, name, arguments, runtime);
  }
  if (const auto* list = std::get_if<const List*>(&object)) {
    return list_method(**list, name, arguments, runtime);
  }
  if (auto* const* loop = std::get_if<Loop*>(&object)) {
    return loop_method(**loop, name, arguments, runtime);
  }
  if (auto* const* cycler = std::get_if<Cycler*>(&object)) {
    return cycler_method(**cycler, name, arguments, runtime);
  }
  return number_method(object, name, arguments, runtime);
}

}  // namespace fdllm::jinja
