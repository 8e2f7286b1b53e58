#include "text/jinja/functions.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/python_repr.h"

namespace fdllm::jinja {
namespace {

/// The sandbox's limit.
constexpr std::int64_t kMaxRange = 100'000;

Value make_range(const Arguments& arguments, Runtime& runtime) {
  if (!arguments.named.empty()) runtime.error("range takes no names");
  const Bound bound(runtime, "range", arguments, {"start", "stop", "step"}, 1);
  const bool has_start = arguments.positional.size() > 1;
  const std::int64_t begin = has_start ? bound.integer(0) : 0;
  const std::int64_t end = bound.integer(has_start ? 1 : 0);
  const std::int64_t step = bound.integer(2, 1);
  for (const Value& value : arguments.positional) {
    if (holds<double>(value)) runtime.error("range expects whole numbers");
  }
  if (step == 0) runtime.error("range with step 0");
  std::vector<Value> items;
  for (std::int64_t value = begin; step > 0 ? value < end : value > end;) {
    if (std::ssize(items) == kMaxRange) {
      fail(ErrorCode::kUnsupported, "line {}: a range of more than {} numbers is not supported",
           runtime.line(), kMaxRange);
    }
    runtime.budget().charge_bytes(sizeof(Value));
    items.emplace_back(value);
    if (__builtin_add_overflow(value, step, &value)) break;
  }
  return runtime.arena().range(std::move(items), {begin, end, step});
}

/// Python's dict(): of a dictionary or pairs, then of the named arguments.
std::vector<std::pair<Value, Value>> dict_items(std::string_view callee, const Arguments& arguments,
                                                Runtime& runtime) {
  std::vector<std::pair<Value, Value>> items;
  if (arguments.positional.size() > 1) {
    runtime.error(fmt::format("{} takes at most one argument without a name", quote(callee)));
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (const auto* dict = std::get_if<const Dict*>(&source)) {
      runtime.budget().charge_bytes((*dict)->items.size() * 2 * sizeof(Value));
      items = (*dict)->items;
    } else {
      for (const Value& pair : runtime.iterate(source)) {
        std::vector<Value> parts = runtime.iterate(pair);
        if (parts.size() != 2) runtime.error("a dictionary is made of pairs");
        items.emplace_back(std::move(parts[0]), std::move(parts[1]));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) items.emplace_back(text_value(name), value);
  return items;
}

Value make_dict(const Arguments& arguments, Runtime& runtime) {
  return runtime.dict(dict_items("dict", arguments, runtime));
}

Value make_namespace(const Arguments& arguments, Runtime& runtime) {
  Namespace* made = runtime.arena().make_namespace();
  for (auto& [key, value] : dict_items("namespace", arguments, runtime)) {
    const auto* name = std::get_if<Text>(&key);
    if (name == nullptr) runtime.unsupported("a namespace's attribute that is no name");
    if ((*name)->starts_with('_')) {
      runtime.error("a namespace's attribute must not begin with '_': " + quote(**name));
    }
    runtime.budget().charge(32);
    if (made->attributes.insert_or_assign(**name, value).second) made->order.push_back(**name);
  }
  return made;
}

Value raise_exception(const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "raise_exception", arguments, {"message"}, 1);
  runtime.error(to_text(bound.at(0), runtime));
}

Value strftime_now(const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "strftime_now", arguments, {"format"}, 1);
  const std::time_t now = runtime.now();
  std::tm local{};
  if (localtime_r(&now, &local) == nullptr) runtime.error("the current date is out of range");
  return runtime.text(format_time(bound.text(0), local, runtime));
}

Value make_joiner(const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "joiner", arguments, {"sep"});
  return runtime.arena().joiner(bound.value(0, text_value(", ")));
}

Value make_cycler(const Arguments& arguments, Runtime& runtime) {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    runtime.error("cycler expects at least one item, without names");
  }
  runtime.budget().charge_bytes(arguments.positional.size() * sizeof(Value));
  return runtime.arena().cycler(arguments.positional);
}

Value refuse_lipsum(const Arguments& /*arguments*/, Runtime& runtime) {
  runtime.unsupported("random text (lipsum)");
}

using Function = Value (*)(const Arguments&, Runtime&);
constexpr std::pair<std::string_view, Function> kFunctions[] = {
    {"range", make_range},          {"dict", make_dict},
    {"namespace", make_namespace},  {"raise_exception", raise_exception},
    {"strftime_now", strftime_now}, {"joiner", make_joiner},
    {"cycler", make_cycler},        {"lipsum", refuse_lipsum}};

const std::pair<std::string_view, Function>* find_function(std::string_view name) {
  return std::find_if(std::begin(kFunctions), std::end(kFunctions),
                      [&](const auto& entry) { return entry.first == name; });
}

}  // namespace

bool is_function(std::string_view name) {
  return find_function(name) != std::end(kFunctions);
}

Value call_function(std::string_view name, const Arguments& arguments, Runtime& runtime) {
  return find_function(name)->second(arguments, runtime);
}

}  // namespace fdllm::jinja
