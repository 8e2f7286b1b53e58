#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fdllm::jinja {

struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Iterator;
struct Callable;
struct Joiner;
struct Cycler;
struct Macro;  // macro.h

/// A name, item or attribute that isn't there; `what` names it in messages.
struct Undefined {
  std::shared_ptr<const std::string> what;
};
struct None {};

/// A string in valid UTF-8, shared by all values that hold it.
struct Text {
  std::shared_ptr<const std::string> bytes;
  bool is_safe = false;  ///< marked by `safe` or `escape`: what is joined to it is escaped

  const std::string& operator*() const { return *bytes; }
  const std::string* operator->() const { return bytes.get(); }
};

/// A template's value. What is behind a pointer belongs to the rendering's Arena.
using Value =
    std::variant<Undefined, None, bool, std::int64_t, double, Text, const List*, const Dict*,
                 Namespace*, Loop*, Iterator*, const Callable*, Joiner*, Cycler*>;

/// What Python would call the type of a sequence; it decides how it prints and what it equals.
enum class ListKind : std::uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems, kGroup };

struct List {
  std::vector<Value> items;
  ListKind kind;
  int depth;                            ///< of nested lists and dictionaries, bounded by Arena
  std::array<std::int64_t, 3> range{};  ///< begin, end and step of a range
};

/// In order of insertion; keys are equal as Python has it (1, 1.0 and True are one key).
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  int depth;

  const Value* find(std::string_view key) const;
  const Value* find(const Value& key) const;
};

/// What namespace() makes: the only value whose attributes a template may set.
struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
  std::vector<std::string> order;  ///< of insertion, for printing
};

/// What filters such as `map` give: it is made when it is first looked at, and can be gone through
/// once.
struct Iterator {
  std::function<std::vector<Value>()> make;  ///< empty once it has been called
  std::vector<Value> made = {};
  std::size_t next = 0;

  const std::vector<Value>& items();
};

/// The variable `loop`: its attributes follow the iteration. Items are asked for when they are
/// needed, since the loop's condition may depend on what earlier rounds did.
struct Loop {
  std::function<std::optional<Value>()> pull;
  std::vector<Value> items;  ///< those pulled so far
  bool exhausted = false;
  std::size_t index = 0;
  std::int64_t depth = 1;
  std::optional<std::vector<Value>> last_changed;
  std::function<Value(const Value&)> recurse;  ///< empty unless the loop is recursive

  /// Whether there is an item `position`.
  bool reaches(std::size_t position);
};

enum class CallableKind : std::uint8_t { kFunction, kMethod, kMacro };

/// A function by name, a method of `self`, or a macro.
struct Callable {
  CallableKind kind;
  std::string name;
  Value self;
  const Macro* macro = nullptr;
};

/// joiner(): nothing when first called, the separator from then on.
struct Joiner {
  Value separator;
  bool used = false;
};

/// cycler(): its items in turn.
struct Cycler {
  std::vector<Value> items;
  std::size_t position = 0;
};

/// Owns the values of one rendering, so that neither cycles nor long chains of them matter.
class Arena {
 public:
  /// Throws kUnsupported for values nested deeper than any template needs.
  const List* list(std::vector<Value> items, ListKind kind = ListKind::kList);
  const List* range(std::vector<Value> items, std::array<std::int64_t, 3> bounds);
  const Dict* dict(std::vector<std::pair<Value, Value>> items);
  Namespace* make_namespace() { return &namespaces_.emplace_back(); }
  Loop* loop() { return &loops_.emplace_back(); }
  Iterator* iterator(std::function<std::vector<Value>()> make);
  const Callable* callable(Callable value) { return &callables_.emplace_back(std::move(value)); }
  Joiner* joiner(Value separator) { return &joiners_.emplace_back(Joiner{std::move(separator)}); }
  Cycler* cycler(std::vector<Value> items) {
    return &cyclers_.emplace_back(Cycler{std::move(items)});
  }

 private:
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
  std::deque<Iterator> iterators_;
  std::deque<Callable> callables_;
  std::deque<Joiner> joiners_;
  std::deque<Cycler> cyclers_;
};

template <typename T>
bool holds(const Value& value) {
  return std::holds_alternative<T>(value);
}

inline Value text_value(std::string text) {
  return Text{std::make_shared<const std::string>(std::move(text))};
}
Value undefined_value(std::string what);

/// A whole number, or a boolean as 0 or 1, as Python counts it.
std::optional<std::int64_t> as_integer(const Value& value);
/// Any number, or a boolean.
std::optional<double> as_double(const Value& value);
bool is_true(const Value& value);
/// Whether Python can take it as the key of a dictionary.
bool is_hashable(const Value& value);
/// Python's ==; lists and dictionaries by content.
bool is_equal(const Value& a, const Value& b);
/// Rough work of is_equal, in bytes looked at; stops counting at 16 MiB.
std::size_t size_of_value(const Value& value);
/// "a string", "a list": for messages.
std::string_view kind_name(const Value& value);

}  // namespace fdllm::jinja
