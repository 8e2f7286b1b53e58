#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/quote.h"
#include "formats/checkpoint.h"

namespace fdllm {
namespace {

struct Describe {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";  // as files spell it
    return fmt::format("{}", value);
  }
  std::string operator()(const std::string& value) const { return quote(value); }
  std::string operator()(const std::vector<std::int64_t>& value) const {
    return fmt::format("a list of {} integers", value.size());
  }
  std::string operator()(const std::vector<std::string>& value) const {
    return fmt::format("a list of {} texts", value.size());
  }
};

// Integers that a double holds exactly; beyond it a written 1e300 is no count.
constexpr double kLargestExact = 9007199254740992.0;

std::optional<std::int64_t> as_integer(const Metadata::Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* number = std::get_if<double>(&value)) {
    if (std::fabs(*number) <= kLargestExact && std::trunc(*number) == *number) {
      return static_cast<std::int64_t>(*number);
    }
  }
  return std::nullopt;
}

bool starts_with_child(std::string_view key, std::string_view parent) {
  return key.size() > parent.size() && key.starts_with(parent) && key[parent.size()] == '.';
}

}  // namespace

std::int64_t TensorView::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product = checked_mul(product, size, name);
  return product;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  text += ']';
  return text;
}

bool Metadata::has(std::string_view key) const {
  if (const auto found = values_.find(key); found != values_.end()) {
    return !std::holds_alternative<std::monostate>(found->second);
  }
  const std::string first_child = std::string(key) + '.';
  const auto child = values_.lower_bound(first_child);
  return child != values_.end() && starts_with_child(child->first, key);
}

namespace {

const Metadata::Value* present(const Metadata& metadata, std::string_view key,
                               std::string_view expected) {
  const auto found = metadata.values().find(key);
  if (found != metadata.values().end()) {
    return std::holds_alternative<std::monostate>(found->second) ? nullptr : &found->second;
  }
  if (metadata.has(key)) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, found an object or a mixed list",
         metadata.source(), key, expected);
  }
  return nullptr;
}

[[noreturn]] void wrong_type(const Metadata& metadata, std::string_view key,
                             std::string_view expected, const Metadata::Value& value) {
  fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, found {}", metadata.source(), key, expected,
       std::visit(Describe{}, value));
}

[[noreturn]] void missing(const Metadata& metadata, std::string_view key,
                          std::string_view expected) {
  const auto found = metadata.values().find(key);
  fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, found {}", metadata.source(), key, expected,
       found == metadata.values().end() ? "no such key" : "null");
}

}  // namespace

std::optional<std::int64_t> Metadata::integer(std::string_view key) const {
  const Value* value = present(*this, key, "an integer");
  if (value == nullptr) return std::nullopt;
  if (const auto integer = as_integer(*value)) return integer;
  wrong_type(*this, key, "an integer", *value);
}

std::optional<double> Metadata::number(std::string_view key) const {
  const Value* value = present(*this, key, "a number");
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
  wrong_type(*this, key, "a number", *value);
}

std::optional<bool> Metadata::boolean(std::string_view key) const {
  const Value* value = present(*this, key, "true or false");
  if (value == nullptr) return std::nullopt;
  if (const auto* boolean = std::get_if<bool>(value)) return *boolean;
  wrong_type(*this, key, "true or false", *value);
}

std::optional<std::string> Metadata::text(std::string_view key) const {
  const Value* value = present(*this, key, "a text");
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  wrong_type(*this, key, "a text", *value);
}

std::optional<std::vector<std::int64_t>> Metadata::integers(std::string_view key) const {
  const Value* value = present(*this, key, "an integer or a list of integers");
  if (value == nullptr) return std::nullopt;
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(value)) return *list;
  if (const auto integer = as_integer(*value)) return std::vector{*integer};
  wrong_type(*this, key, "an integer or a list of integers", *value);
}

std::optional<std::vector<std::string>> Metadata::texts(std::string_view key) const {
  const Value* value = present(*this, key, "a list of texts");
  if (value == nullptr) return std::nullopt;
  if (const auto* list = std::get_if<std::vector<std::string>>(value)) return *list;
  // An empty list has no element type: it is stored as a list of integers.
  const auto* integers = std::get_if<std::vector<std::int64_t>>(value);
  if (integers != nullptr && integers->empty()) return std::vector<std::string>{};
  wrong_type(*this, key, "a list of texts", *value);
}

std::int64_t Metadata::required_integer(std::string_view key) const {
  if (const auto value = integer(key)) return *value;
  missing(*this, key, "an integer");
}

std::int64_t Metadata::required_integer(std::string_view key, std::int64_t low,
                                        std::int64_t high) const {
  const std::int64_t value = required_integer(key);
  if (value < low || value > high) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected an integer from {} to {}, found {}", source_,
         key, low, high, value);
  }
  return value;
}

std::string Metadata::required_text(std::string_view key) const {
  if (auto value = text(key)) return *std::move(value);
  missing(*this, key, "a text");
}

}  // namespace fdllm
