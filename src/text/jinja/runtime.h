#pragma once
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastdllm/error.h"

#include "text/jinja/value.h"

namespace fdllm::jinja {

/// What a rendering may still use up. A unit is about one evaluated expression or eight bytes
/// copied or compared.
class Budget {
 public:
  explicit Budget(std::size_t units) : units_(units) {}
  /// Throws kUnsupported once more than the budget is asked for.
  void charge(std::size_t units);
  void charge_bytes(std::size_t bytes) { charge(bytes / 8 + 1); }
  /// Of `times` times `bytes` bytes, whatever their product.
  void charge_bytes(std::size_t bytes, std::size_t times);

 private:
  std::size_t units_;
};

/// What operators, filters, tests and methods work with: where values live, what may still be used
/// up, and which line of the template is being run.
class Runtime {
 public:
  Runtime(Arena& arena, Budget budget, std::time_t now)
      : arena_(arena), budget_(budget), now_(now) {}

  Arena& arena() { return arena_; }
  Budget& budget() { return budget_; }
  std::time_t now() const { return now_; }
  int line() const { return line_; }
  void set_line(int line) { line_ = line; }

  /// The template treats a value as what it is not.
  [[noreturn]] void error(std::string_view what) const;
  /// Something that jinja2 has and this language has not.
  [[noreturn]] void unsupported(std::string_view what) const;
  /// Complains about an undefined value, else does nothing.
  void require_defined(const Value& value) const;

  Value text(std::string text);
  Value list(std::vector<Value> items, ListKind kind = ListKind::kList);
  /// `make` is called when the iterator is first looked at.
  Value iterator(std::function<std::vector<Value>()> make);
  /// Later entries replace earlier ones with the same key, in the earlier one's place.
  Value dict(std::vector<std::pair<Value, Value>> items);

  /// The values that a for loop visits: items, keys or characters. Throws where there are none.
  std::vector<Value> iterate(const Value& value);
  bool equal(const Value& a, const Value& b);

 private:
  Arena& arena_;
  Budget budget_;
  std::time_t now_;
  int line_ = 1;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// The arguments of one call matched with a signature, as Python matches them.
class Bound {
 public:
  /// `names` in order; the first `required` must be given. Throws for anything left over.
  Bound(Runtime& runtime, std::string_view callee, const Arguments& arguments,
        std::initializer_list<std::string_view> names, std::size_t required = 0);

  bool has(std::size_t index) const { return values_[index] != nullptr; }
  /// Given and not none.
  bool is_set(std::size_t index) const { return has(index) && !holds<None>(*values_[index]); }
  const Value& at(std::size_t index) const { return *values_[index]; }
  Value value(std::size_t index, Value fallback) const;
  std::int64_t integer(std::size_t index, std::int64_t fallback = 0) const;
  bool flag(std::size_t index, bool fallback = false) const;
  const std::string& text(std::size_t index) const;
  std::string text(std::size_t index, std::string_view fallback) const;

 private:
  Runtime& runtime_;
  std::string_view callee_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

}  // namespace fdllm::jinja
