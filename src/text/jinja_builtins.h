#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastdllm/error.h"

#include "text/jinja_value.h"

namespace fdllm::jinja {

/// What a rendering may still use up. A unit is about one evaluated expression or eight bytes
/// copied or compared.
class Budget {
 public:
  explicit Budget(std::size_t units) : units_(units) {}
  /// Throws kUnsupported once more than the budget is asked for.
  void charge(std::size_t units);
  void charge_bytes(std::size_t bytes) { charge(bytes / 8 + 1); }

 private:
  std::size_t units_;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// One evaluation of a filter, test, method or function: where it stands and what it may use.
class Call {
 public:
  Call(Arena& arena, Budget& budget, int line, std::string_view name, const Arguments& arguments)
      : arena_(arena), budget_(budget), line_(line), name_(name), arguments_(arguments) {}

  Value filter(const Value& input) const;
  bool test(const Value& input) const;
  Value method(const Value& object) const;
  Value function() const;

  static bool is_function(std::string_view name);

 private:
  [[noreturn]] void error(ErrorCode code, std::string_view what) const;
  [[noreturn]] void unsupported(std::string_view kind) const;
  /// At most `most` positional arguments and no named ones but `named`.
  void expect_arguments(std::size_t least, std::size_t most, std::string_view named = {}) const;
  /// The argument, by position or name, or null.
  const Value* argument(std::size_t index, std::string_view name = {}) const;
  const std::string& text_argument(std::size_t index) const;
  std::int64_t number_argument(std::size_t index) const;

  Value text_method(const std::string& text) const;
  Value dict_method(const Dict& dict) const;
  Value split(const std::string& text) const;
  Value replace(const std::string& text) const;
  Value make_range() const;
  Value make_text(std::string text) const;
  Value make_list(std::vector<Value> items) const;
  Value join(std::string_view separator, const Value& items) const;
  std::string to_text(const Value& value) const;

  Arena& arena_;
  Budget& budget_;
  int line_;
  std::string_view name_;
  const Arguments& arguments_;
};

/// What printing a value gives: text as it is, None as "None", undefined as nothing. Throws
/// kUnsupported for lists and the like, whose Python notation no template should print.
std::string printed(const Value& value, int line);

/// The values that a for loop visits: items, keys or characters. Throws where it can't.
std::vector<Value> iterate(const Value& value, Budget& budget, int line);

/// Number of characters.
std::int64_t count_characters(std::string_view text);

}  // namespace fdllm::jinja
