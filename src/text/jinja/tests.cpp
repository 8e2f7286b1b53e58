#include "text/jinja/tests.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/comparison.h"
#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_repr.h"

namespace fdllm::jinja {
namespace {

bool is_defined(const Value& value, Runtime& /*runtime*/) {
  return !holds<Undefined>(value);
}
bool is_undefined(const Value& value, Runtime& /*runtime*/) {
  return holds<Undefined>(value);
}
bool is_none(const Value& value, Runtime& /*runtime*/) {
  return holds<None>(value);
}
bool is_boolean(const Value& value, Runtime& /*runtime*/) {
  return holds<bool>(value);
}
bool is_true_itself(const Value& value, Runtime& /*runtime*/) {
  return holds<bool>(value) && std::get<bool>(value);
}
bool is_false_itself(const Value& value, Runtime& /*runtime*/) {
  return holds<bool>(value) && !std::get<bool>(value);
}
bool is_integer(const Value& value, Runtime& /*runtime*/) {
  return holds<std::int64_t>(value);
}
bool is_float(const Value& value, Runtime& /*runtime*/) {
  return holds<double>(value);
}
bool is_number(const Value& value, Runtime& /*runtime*/) {
  return as_double(value).has_value();
}
bool is_string(const Value& value, Runtime& /*runtime*/) {
  return holds<Text>(value);
}
bool is_mapping(const Value& value, Runtime& /*runtime*/) {
  return holds<const Dict*>(value);
}
bool is_escaped(const Value& value, Runtime& /*runtime*/) {
  const auto* text = std::get_if<Text>(&value);
  return text != nullptr && text->is_safe;
}
bool is_callable(const Value& value, Runtime& /*runtime*/) {
  return holds<const Callable*>(value) || holds<Joiner*>(value) || holds<Loop*>(value) ||
         holds<Undefined>(value);
}

bool is_sequence(const Value& value, Runtime& /*runtime*/) {
  if (const auto* list = std::get_if<const List*>(&value)) {
    return (*list)->kind != ListKind::kKeys && (*list)->kind != ListKind::kValues &&
           (*list)->kind != ListKind::kItems;
  }
  return holds<Text>(value) || holds<const Dict*>(value) || holds<Undefined>(value);
}

bool is_iterable(const Value& value, Runtime& /*runtime*/) {
  return holds<Text>(value) || holds<const Dict*>(value) || holds<Undefined>(value) ||
         holds<const List*>(value) || holds<Iterator*>(value) || holds<Loop*>(value);
}

bool is_lower_case(const Value& value, Runtime& runtime) {
  return is_text_of(to_text(value, runtime), TextClass::kLower);
}
bool is_upper_case(const Value& value, Runtime& runtime) {
  return is_text_of(to_text(value, runtime), TextClass::kUpper);
}

bool is_remainder(const Value& value, const Value& divisor, std::int64_t expected,
                  Runtime& runtime) {
  return runtime.equal(arithmetic(ExprKind::kModulo, value, divisor, runtime), expected);
}
bool is_odd(const Value& value, Runtime& runtime) {
  return is_remainder(value, std::int64_t{2}, 1, runtime);
}
bool is_even(const Value& value, Runtime& runtime) {
  return is_remainder(value, std::int64_t{2}, 0, runtime);
}
bool is_divisible(const Value& value, const Value& divisor, Runtime& runtime) {
  return is_remainder(value, divisor, 0, runtime);
}

/// Names are looked up in dictionaries, which take no lists.
void require_key(const Value& value, Runtime& runtime) {
  if (!is_hashable(value)) runtime.error(fmt::format("{} can't be a name", kind_name(value)));
}

bool is_known_filter(const Value& value, Runtime& runtime) {
  require_key(value, runtime);
  const auto* name = std::get_if<Text>(&value);
  return name != nullptr && is_filter(**name);
}
bool is_known_test(const Value& value, Runtime& runtime) {
  require_key(value, runtime);
  const auto* name = std::get_if<Text>(&value);
  return name != nullptr && is_test(**name);
}

/// Python's `is`: the one same object. Equal numbers and strings may or may not be one in Python;
/// here they are.
bool is_same(const Value& a, const Value& b, Runtime& runtime) {
  if (a.index() != b.index()) return false;
  if (const auto* list = std::get_if<const List*>(&a)) return *list == std::get<const List*>(b);
  if (const auto* dict = std::get_if<const Dict*>(&a)) return *dict == std::get<const Dict*>(b);
  return runtime.equal(a, b);
}

template <Comparison kComparison>
bool compares(const Value& a, const Value& b, Runtime& runtime) {
  return compare(kComparison, a, b, runtime);
}

using Test = bool (*)(const Value&, Runtime&);
constexpr std::pair<std::string_view, Test> kTests[] = {{"odd", is_odd},
                                                        {"even", is_even},
                                                        {"defined", is_defined},
                                                        {"undefined", is_undefined},
                                                        {"filter", is_known_filter},
                                                        {"test", is_known_test},
                                                        {"none", is_none},
                                                        {"boolean", is_boolean},
                                                        {"false", is_false_itself},
                                                        {"true", is_true_itself},
                                                        {"integer", is_integer},
                                                        {"float", is_float},
                                                        {"lower", is_lower_case},
                                                        {"upper", is_upper_case},
                                                        {"string", is_string},
                                                        {"mapping", is_mapping},
                                                        {"number", is_number},
                                                        {"sequence", is_sequence},
                                                        {"iterable", is_iterable},
                                                        {"callable", is_callable},
                                                        {"escaped", is_escaped}};

using TestOfTwo = bool (*)(const Value&, const Value&, Runtime&);
constexpr std::pair<std::string_view, TestOfTwo> kTestsOfTwo[] = {
    {"divisibleby", is_divisible},
    {"sameas", is_same},
    {"in", compares<Comparison::kIn>},
    {"==", compares<Comparison::kEqual>},
    {"eq", compares<Comparison::kEqual>},
    {"equalto", compares<Comparison::kEqual>},
    {"!=", compares<Comparison::kUnequal>},
    {"ne", compares<Comparison::kUnequal>},
    {">", compares<Comparison::kGreater>},
    {"gt", compares<Comparison::kGreater>},
    {"greaterthan", compares<Comparison::kGreater>},
    {">=", compares<Comparison::kGreaterEqual>},
    {"ge", compares<Comparison::kGreaterEqual>},
    {"<", compares<Comparison::kLess>},
    {"lt", compares<Comparison::kLess>},
    {"lessthan", compares<Comparison::kLess>},
    {"<=", compares<Comparison::kLessEqual>},
    {"le", compares<Comparison::kLessEqual>}};

template <typename Table>
auto find_in(const Table& table, std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const auto& entry) { return entry.first == name; });
  return found != std::end(table) ? found->second : nullptr;
}

}  // namespace

bool is_test(std::string_view name) {
  return find_in(kTests, name) != nullptr || find_in(kTestsOfTwo, name) != nullptr;
}

bool run_test(std::string_view name, const Value& value, const Arguments& arguments,
              Runtime& runtime) {
  if (const Test test = find_in(kTests, name)) {
    const Bound bound(runtime, name, arguments, {});
    return test(value, runtime);
  }
  const TestOfTwo test = find_in(kTestsOfTwo, name);
  if (test == nullptr) runtime.unsupported("the test " + quote(name));
  const Bound bound(runtime, name, arguments, {"other"}, 1);
  return test(value, bound.at(0), runtime);
}

}  // namespace fdllm::jinja
