#include "text/jinja/comparison.h"

#include <compare>

#include "base/check.h"

namespace fdllm::jinja {
namespace {

/// How two numbers stand, exactly; unordered for NaN.
std::partial_ordering order_of_numbers(const Value& a, const Value& b) {
  const auto exact = [](const Value& value) {
    const auto whole = as_integer(value);
    return whole ? static_cast<long double>(*whole)
                 : static_cast<long double>(std::get<double>(value));
  };
  return exact(a) <=> exact(b);
}

bool is_ordered_list(ListKind kind) {
  return kind == ListKind::kList || kind == ListKind::kTuple || kind == ListKind::kGroup;
}

std::partial_ordering order_of(const Value& a, const Value& b, Runtime& runtime);

std::partial_ordering order_of_lists(const List& a, const List& b, Runtime& runtime) {
  for (std::size_t i = 0; i < std::min(a.items.size(), b.items.size()); ++i) {
    runtime.budget().charge(1);
    if (!runtime.equal(a.items[i], b.items[i])) return order_of(a.items[i], b.items[i], runtime);
  }
  return a.items.size() <=> b.items.size();
}

std::partial_ordering order_of(const Value& a, const Value& b, Runtime& runtime) {
  if (as_double(a) && as_double(b)) return order_of_numbers(a, b);
  const auto* left_text = std::get_if<Text>(&a);
  const auto* right_text = std::get_if<Text>(&b);
  if (left_text != nullptr && right_text != nullptr) {
    runtime.budget().charge_bytes(std::min((*left_text)->size(), (*right_text)->size()));
    // Code point order, as Python's, is byte order in UTF-8.
    return (*left_text)->compare(**right_text) <=> 0;
  }
  const auto* left_list = std::get_if<const List*>(&a);
  const auto* right_list = std::get_if<const List*>(&b);
  if (left_list != nullptr && right_list != nullptr && is_ordered_list((*left_list)->kind) &&
      ((*left_list)->kind == ListKind::kList) == ((*right_list)->kind == ListKind::kList) &&
      is_ordered_list((*right_list)->kind)) {
    return order_of_lists(**left_list, **right_list, runtime);
  }
  runtime.require_defined(a);
  runtime.require_defined(b);
  runtime.error(fmt::format("{} and {} have no order", kind_name(a), kind_name(b)));
}

}  // namespace

bool is_less(const Value& a, const Value& b, Runtime& runtime) {
  return order_of(a, b, runtime) < 0;
}

bool contains(const Value& container, const Value& sought, Runtime& runtime) {
  if (const auto* text = std::get_if<Text>(&container)) {
    const auto* part = std::get_if<Text>(&sought);
    if (part == nullptr) {
      runtime.error(fmt::format("'in' a string expects a string, found {}", kind_name(sought)));
    }
    runtime.budget().charge_bytes((*text)->size() / 16 + 1, (*part)->size() + 16);
    return (*text)->find(**part) != std::string::npos;
  }
  if (const auto* dict = std::get_if<const Dict*>(&container)) {
    if (!is_hashable(sought)) runtime.error(fmt::format("{} can't be a key", kind_name(sought)));
    runtime.budget().charge_bytes(size_of_value(sought), (*dict)->items.size() + 1);
    return (*dict)->find(sought) != nullptr;
  }
  if (const auto* list = std::get_if<const List*>(&container)) {
    for (const Value& item : (*list)->items) {
      if (runtime.equal(sought, item)) return true;
    }
    return false;
  }
  if (auto* const* iterator = std::get_if<Iterator*>(&container)) {
    // Looking for an item uses up those before it.
    Iterator& source = **iterator;
    while (source.next < source.items().size()) {
      if (runtime.equal(sought, source.items()[source.next++])) return true;
    }
    return false;
  }
  if (!holds<Undefined>(container)) {
    runtime.error(fmt::format("'in' expects what has items, found {}", kind_name(container)));
  }
  return false;
}

bool compare(Comparison comparison, const Value& left, const Value& right, Runtime& runtime) {
  switch (comparison) {
    case Comparison::kEqual:
      return runtime.equal(left, right);
    case Comparison::kUnequal:
      return !runtime.equal(left, right);
    case Comparison::kIn:
      return contains(right, left, runtime);
    case Comparison::kNotIn:
      return !contains(right, left, runtime);
    case Comparison::kLess:
      return order_of(left, right, runtime) < 0;
    case Comparison::kLessEqual:
      return order_of(left, right, runtime) <= 0;
    case Comparison::kGreater:
      return order_of(left, right, runtime) > 0;
    case Comparison::kGreaterEqual:
      return order_of(left, right, runtime) >= 0;
  }
  return false;
}

}  // namespace fdllm::jinja
