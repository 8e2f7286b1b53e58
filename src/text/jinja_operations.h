#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_builtins.h"

namespace fdllm::jinja {

/// Begin, end and step of a slice, absent where they are not written.
using SliceBounds = std::array<std::optional<Value>, 3>;

/// What the operators and subscripts of one line of a template do to values, as in Python.
class Operations {
 public:
  Operations(Arena& arena, Budget& budget, int line)
      : arena_(arena), budget_(budget), line_(line) {}

  Value attribute(const Value& object, std::string_view name) const;
  Value item(const Value& object, const Value& key) const;
  Value slice(const Value& object, const SliceBounds& bounds) const;
  Value arithmetic(ExprKind kind, const Value& left, const Value& right) const;
  bool holds(Comparison comparison, const Value& left, const Value& right) const;

 private:
  [[noreturn]] void error(std::string_view what) const;
  std::vector<std::string_view> characters_of(std::string_view text) const;
  std::optional<std::int64_t> slice_bound(const std::optional<Value>& value) const;
  /// The indices that Python's slice takes from `size` items.
  std::vector<std::size_t> slice_indices(const SliceBounds& bounds, std::int64_t size) const;
  std::int64_t whole_number(ExprKind kind, std::int64_t a, std::int64_t b) const;
  bool equal(const Value& left, const Value& right) const;
  bool contains(const Value& container, const Value& sought) const;

  Arena& arena_;
  Budget& budget_;
  int line_;
};

}  // namespace fdllm::jinja
