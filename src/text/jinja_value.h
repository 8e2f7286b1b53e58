#pragma once
#include <cstdint>
#include <deque>
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

/// A name, item or attribute that isn't there; `what` names it in messages.
struct Undefined {
  std::shared_ptr<const std::string> what;
};
struct None {};
using Text = std::shared_ptr<const std::string>;

/// A template's value. Lists, dictionaries, namespaces and loops belong to the rendering's Arena.
using Value = std::variant<Undefined, None, bool, std::int64_t, Text, const List*, const Dict*,
                           Namespace*, const Loop*>;

struct List {
  std::vector<Value> items;
  int depth;  ///< of nested lists and dictionaries, bounded by Arena
};

/// Keys are strings; in order of insertion.
struct Dict {
  std::vector<std::pair<std::string, Value>> items;
  int depth;

  const Value* find(std::string_view key) const;
};

/// What namespace() makes: the only value whose attributes a template may set.
struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
};

/// The variable `loop`: its attributes follow the iteration.
struct Loop {
  const List* items;
  std::size_t index = 0;
};

/// Owns the values of one rendering, so that neither cycles nor long chains of them matter.
class Arena {
 public:
  /// Throws kUnsupported for values nested deeper than any template needs.
  const List* list(std::vector<Value> items);
  const Dict* dict(std::vector<std::pair<std::string, Value>> items);
  Namespace* make_namespace() { return &namespaces_.emplace_back(); }
  Loop* loop(const List* items) { return &loops_.emplace_back(Loop{items}); }

 private:
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
};

inline Value text_value(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}
Value undefined_value(std::string what);

/// A number, or a boolean as 0 or 1, as Python counts it.
std::optional<std::int64_t> as_number(const Value& value);
bool is_true(const Value& value);
/// Python's ==; lists and dictionaries by content.
bool is_equal(const Value& a, const Value& b);
/// Rough work of is_equal, in bytes looked at.
std::size_t size_of_value(const Value& value);
/// "a string", "a list": for messages.
std::string_view kind_name(const Value& value);
/// Python's json.dumps with ensure_ascii=False and default separators; false where a value has no
/// JSON form.
bool append_json(const Value& value, std::string& out);

/// Python's str.isspace, which differs from Unicode's White_Space in U+001C..U+001F.
bool is_python_space(char32_t value);

}  // namespace fdllm::jinja
