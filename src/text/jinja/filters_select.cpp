#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/attribute_path.h"
#include "text/jinja/filter_functions.h"
#include "text/jinja/filters.h"
#include "text/jinja/tests.h"

namespace fdllm::jinja::filters {
namespace {

const std::string& name_of(const Value& value, std::string_view filter, Runtime& runtime) {
  if (const auto* text = std::get_if<Text>(&value)) return **text;
  runtime.error(fmt::format("'{}' expects a name, found {}", filter, kind_name(value)));
}

/// What select, reject and their siblings have in common.
struct Selection {
  std::string_view filter;
  bool keeps;         ///< those that pass the test, else the others
  bool by_attribute;  ///< the first argument says what of an item is tested
};

std::vector<Value> run_selection(const Selection& selection, const Value& value,
                                 Arguments arguments, Runtime& runtime) {
  if (!is_true(value)) return {};
  auto& positional = arguments.positional;
  Value attribute = None{};
  if (selection.by_attribute) {
    if (positional.empty()) {
      runtime.error(fmt::format("'{}' expects an attribute's name", selection.filter));
    }
    attribute = positional.front();
    positional.erase(positional.begin());
  }
  const AttributePath path(attribute, runtime);
  std::string test;
  if (!positional.empty()) {
    test = name_of(positional.front(), selection.filter, runtime);
    positional.erase(positional.begin());
  }
  std::vector<Value> kept;
  for (Value& item : runtime.iterate(value)) {
    const Value tested = path.of(item, None{}, runtime);
    const bool passes = test.empty() ? is_true(tested) : run_test(test, tested, arguments, runtime);
    if (passes == selection.keeps) kept.push_back(std::move(item));
  }
  return kept;
}

Value select_lazily(const Selection& selection, const Value& value, const Arguments& arguments,
                    Runtime& runtime) {
  return runtime.iterator([selection, value, arguments, &runtime] {
    return run_selection(selection, value, arguments, runtime);
  });
}

/// map(attribute=..., default=...).
std::vector<Value> map_attribute(const std::vector<Value>& items, const Arguments& arguments,
                                 Runtime& runtime) {
  const Bound bound(runtime, "map", arguments, {"attribute", "default"});
  const AttributePath path(bound.at(0), runtime);
  std::vector<Value> mapped;
  for (const Value& item : items) {
    mapped.push_back(path.of(item, bound.value(1, None{}), runtime));
  }
  return mapped;
}

std::vector<Value> run_map(const Value& value, const Arguments& arguments, Runtime& runtime) {
  if (!is_true(value)) return {};
  const std::vector<Value> items = runtime.iterate(value);
  if (arguments.positional.empty()) {
    for (const auto& [name, argument] : arguments.named) {
      if (name == "attribute") return map_attribute(items, arguments, runtime);
    }
    runtime.error("'map' expects a filter's name or an attribute");
  }
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  std::vector<Value> mapped;
  for (const Value& item : items) {
    runtime.budget().charge(4);
    const std::string& filter = name_of(arguments.positional.front(), "map", runtime);
    mapped.push_back(run_filter(filter, item, rest, runtime));
  }
  return mapped;
}

}  // namespace

Value map(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return runtime.iterator(
      [value, arguments, &runtime] { return run_map(value, arguments, runtime); });
}

Value select(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return select_lazily({"select", true, false}, value, arguments, runtime);
}

Value reject(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return select_lazily({"reject", false, false}, value, arguments, runtime);
}

Value selectattr(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return select_lazily({"selectattr", true, true}, value, arguments, runtime);
}

Value rejectattr(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return select_lazily({"rejectattr", false, true}, value, arguments, runtime);
}

}  // namespace fdllm::jinja::filters
