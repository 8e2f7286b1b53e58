#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/check.h"

namespace fdllm::jinja {
namespace {

constexpr int kMaxValueDepth = 64;
constexpr std::size_t kEnoughBytes = std::size_t{1} << 24;

int depth_of(const Value& value) {
  if (const auto* list = std::get_if<const List*>(&value)) return (*list)->depth;
  if (const auto* dict = std::get_if<const Dict*>(&value)) return (*dict)->depth;
  return 0;
}

int depth_around(int deepest) {
  if (deepest >= kMaxValueDepth) {
    fail(ErrorCode::kUnsupported, "a value nested deeper than {} levels is not supported",
         kMaxValueDepth);
  }
  return deepest + 1;
}

int depth_around(const std::vector<Value>& items) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, depth_of(item));
  return depth_around(deepest);
}

bool equal_items(const std::vector<Value>& a, const std::vector<Value>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), is_equal);
}

/// A group of groupby() is a tuple; a dictionary's keys and items are sets; its values equal only
/// themselves.
bool equal_lists(const List& a, const List& b) {
  if (&a == &b) return true;
  const auto family = [](ListKind kind) {
    if (kind == ListKind::kGroup) return ListKind::kTuple;
    return kind == ListKind::kItems ? ListKind::kKeys : kind;
  };
  if (family(a.kind) != family(b.kind) || a.kind == ListKind::kValues) return false;
  if (family(a.kind) != ListKind::kKeys) return equal_items(a.items, b.items);
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&](const Value& item) {
           return std::any_of(b.items.begin(), b.items.end(),
                              [&](const Value& other) { return is_equal(item, other); });
         });
}

bool equal_dicts(const Dict& a, const Dict& b) {
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
           const Value* found = b.find(item.first);
           return found != nullptr && is_equal(item.second, *found);
         });
}

/// Of a whole number and a float, exactly.
bool equal_numbers(const Value& a, const Value& b) {
  const auto whole_a = as_integer(a);
  const auto whole_b = as_integer(b);
  if (whole_a && whole_b) return *whole_a == *whole_b;
  const auto exact = [](const Value& value, std::optional<std::int64_t> whole) {
    return whole ? static_cast<long double>(*whole)
                 : static_cast<long double>(std::get<double>(value));
  };
  return exact(a, whole_a) == exact(b, whole_b);
}

}  // namespace

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    const auto* text = std::get_if<Text>(&name);
    if (text != nullptr && **text == key) return &value;
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (const auto* text = std::get_if<Text>(&key)) return find(std::string_view(**text));
  for (const auto& [name, value] : items) {
    if (is_equal(name, key)) return &value;
  }
  return nullptr;
}

bool Loop::reaches(std::size_t position) {
  while (!exhausted && items.size() <= position) {
    if (auto item = pull()) {
      items.push_back(*std::move(item));
    } else {
      exhausted = true;
    }
  }
  return items.size() > position;
}

const List* Arena::list(std::vector<Value> items, ListKind kind) {
  const int depth = depth_around(items);
  return &lists_.emplace_back(List{std::move(items), kind, depth});
}

const List* Arena::range(std::vector<Value> items, std::array<std::int64_t, 3> bounds) {
  return &lists_.emplace_back(List{std::move(items), ListKind::kRange, 1, bounds});
}

const Dict* Arena::dict(std::vector<std::pair<Value, Value>> items) {
  int deepest = 0;
  for (const auto& [key, value] : items) {
    deepest = std::max({deepest, depth_of(key), depth_of(value)});
  }
  return &dicts_.emplace_back(Dict{std::move(items), depth_around(deepest)});
}

const std::vector<Value>& Iterator::items() {
  if (const auto maker = std::exchange(make, nullptr)) made = maker();
  return made;
}

Iterator* Arena::iterator(std::function<std::vector<Value>()> make) {
  return &iterators_.emplace_back(Iterator{std::move(make)});
}

Value undefined_value(std::string what) {
  return Undefined{std::make_shared<const std::string>(std::move(what))};
}

std::optional<std::int64_t> as_integer(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
  return std::nullopt;
}

std::optional<double> as_double(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto whole = as_integer(value)) return static_cast<double>(*whole);
  return std::nullopt;
}

bool is_true(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number != 0;
  if (const auto* number = std::get_if<double>(&value)) return *number != 0;
  if (const auto* text = std::get_if<Text>(&value)) return !(*text)->empty();
  if (const auto* list = std::get_if<const List*>(&value)) return !(*list)->items.empty();
  if (const auto* dict = std::get_if<const Dict*>(&value)) return !(*dict)->items.empty();
  return !holds<Undefined>(value) && !holds<None>(value);
}

bool is_hashable(const Value& value) {
  if (holds<const Dict*>(value)) return false;
  const auto* list = std::get_if<const List*>(&value);
  if (list == nullptr) return true;
  const ListKind kind = (*list)->kind;
  if (kind == ListKind::kRange || kind == ListKind::kValues) return true;
  return (kind == ListKind::kTuple || kind == ListKind::kGroup) &&
         std::all_of((*list)->items.begin(), (*list)->items.end(), is_hashable);
}

bool is_equal(const Value& a, const Value& b) {
  if (as_double(a) && as_double(b)) return equal_numbers(a, b);
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        using T = std::decay_t<decltype(left)>;
        const T& right = std::get<T>(b);
        if constexpr (std::is_same_v<T, Text>) {
          return *left == *right;
        } else if constexpr (std::is_same_v<T, const List*>) {
          return equal_lists(*left, *right);
        } else if constexpr (std::is_same_v<T, const Dict*>) {
          return equal_dicts(*left, *right);
        } else if constexpr (std::is_same_v<T, const Callable*>) {
          return left == right ||
                 (left->kind == right->kind && left->name == right->name &&
                  left->macro == right->macro && left->kind != CallableKind::kMethod);
        } else if constexpr (std::is_pointer_v<T>) {
          return left == right;
        } else {
          return true;  // both undefined or both none
        }
      },
      a);
}

std::size_t size_of_value(const Value& value) {
  // Shared parts count as often as they are reached; the sum saturates so that a tower of lists
  // that hold one list twice cannot make the count itself slow.
  std::size_t total = sizeof(Value);
  if (const auto* text = std::get_if<Text>(&value)) {
    total += (*text)->size();
  } else if (const auto* list = std::get_if<const List*>(&value)) {
    const ListKind kind = (*list)->kind;
    const bool is_set = kind == ListKind::kKeys || kind == ListKind::kItems;
    for (const Value& item : (*list)->items) {
      total += size_of_value(item) * (is_set ? (*list)->items.size() : 1);
      if (total > kEnoughBytes) break;
    }
  } else if (const auto* dict = std::get_if<const Dict*>(&value)) {
    for (const auto& [key, item] : (*dict)->items) {
      total += size_of_value(key) * (*dict)->items.size() + size_of_value(item);
      if (total > kEnoughBytes) break;
    }
  }
  return total;
}

std::string_view kind_name(const Value& value) {
  constexpr std::string_view kNames[] = {
      "an undefined value", "none",       "a boolean",    "a whole number", "a float",
      "a string",           "a list",     "a dictionary", "a namespace",    "a loop",
      "an iterator",        "a function", "a joiner",     "a cycler"};
  static_assert(std::size(kNames) == std::variant_size_v<Value>);
  const auto* list = std::get_if<const List*>(&value);
  if (list != nullptr && (*list)->kind == ListKind::kTuple) return "a tuple";
  return kNames[value.index()];
}

}  // namespace fdllm::jinja
