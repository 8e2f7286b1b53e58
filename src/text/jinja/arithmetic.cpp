#include "text/jinja/arithmetic.h"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/jinja/python_format.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja {
namespace {

std::string_view operator_name(ExprKind kind) {
  switch (kind) {
    case ExprKind::kSubtract:
    case ExprKind::kNegative:
      return "-";
    case ExprKind::kMultiply:
      return "*";
    case ExprKind::kDivide:
      return "/";
    case ExprKind::kFloorDivide:
      return "//";
    case ExprKind::kModulo:
      return "%";
    case ExprKind::kPower:
      return "**";
    default:
      return "+";
  }
}

/// Python's % of floats: the sign of the result is the divisor's.
double float_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 ? (b < 0) != (rest < 0) : false) rest += b;
  return rest == 0 ? std::copysign(0.0, b) : rest;
}

/// Python's // of floats: the nearest whole number below, corrected for what fmod leaves.
double float_floor_divide(double a, double b) {
  const double rest = float_modulo(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

double float_power(double a, double b, Runtime& runtime) {
  if (a == 0 && b < 0) runtime.error("zero to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) {
    runtime.unsupported("a complex number");
  }
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
    runtime.error("a number too large");
  return result;
}

double float_arithmetic(ExprKind kind, double a, double b, Runtime& runtime) {
  const bool divides =
      kind == ExprKind::kDivide || kind == ExprKind::kFloorDivide || kind == ExprKind::kModulo;
  if (divides && b == 0) runtime.error("division by zero");
  switch (kind) {
    case ExprKind::kSubtract:
      return a - b;
    case ExprKind::kMultiply:
      return a * b;
    case ExprKind::kDivide:
      return a / b;
    case ExprKind::kFloorDivide:
      return float_floor_divide(a, b);
    case ExprKind::kModulo:
      return float_modulo(a, b);
    case ExprKind::kPower:
      return float_power(a, b, runtime);
    default:
      return a + b;
  }
}

/// // and % of whole numbers: Python rounds towards minus infinity.
std::int64_t whole_division(ExprKind kind, std::int64_t a, std::int64_t b, Runtime& runtime) {
  if (b == 0) runtime.error("division by zero");
  if (b == -1) {
    if (kind == ExprKind::kModulo) return 0;
    if (a == INT64_MIN) runtime.unsupported("a number beyond 64 bits");
    return -a;
  }
  const bool rounds_down = a % b != 0 && (a % b < 0) != (b < 0);
  if (kind == ExprKind::kModulo) return a % b + (rounds_down ? b : 0);
  return a / b - (rounds_down ? 1 : 0);
}

Value whole_arithmetic(ExprKind kind, std::int64_t a, std::int64_t b, Runtime& runtime) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (kind) {
    case ExprKind::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case ExprKind::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case ExprKind::kDivide:
      if (b == 0) runtime.error("division by zero");
      // Exact in 64 bits of mantissa, then rounded once, as Python does.
      return static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b));
    case ExprKind::kFloorDivide:
    case ExprKind::kModulo:
      return whole_division(kind, a, b, runtime);
    case ExprKind::kPower:
      if (b >= 0) return whole_power(a, b, runtime);
      return float_power(static_cast<double>(a), static_cast<double>(b), runtime);
    default:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
  }
  if (overflow) runtime.unsupported("a number beyond 64 bits");
  return result;
}

Value repeat(const Value& sequence, std::int64_t times, Runtime& runtime) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  if (const auto* text = std::get_if<Text>(&sequence)) {
    runtime.budget().charge_bytes((*text)->size(), count);
    std::string repeated;
    for (std::size_t i = 0; i < count && !(*text)->empty(); ++i) repeated += **text;
    return Text{std::make_shared<const std::string>(std::move(repeated)), text->is_safe};
  }
  const List& list = *std::get<const List*>(sequence);
  runtime.budget().charge_bytes(list.items.size() * sizeof(Value), count);
  std::vector<Value> items;
  for (std::size_t i = 0; i < count && !list.items.empty(); ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return runtime.list(std::move(items),
                      list.kind == ListKind::kList ? ListKind::kList : ListKind::kTuple);
}

/// A string, list or tuple: what Python repeats and joins.
bool is_sequence(const Value& value) {
  const auto* list = std::get_if<const List*>(&value);
  return holds<Text>(value) || (list != nullptr && ((*list)->kind == ListKind::kList ||
                                                    (*list)->kind == ListKind::kTuple ||
                                                    (*list)->kind == ListKind::kGroup));
}

Value join_texts(const Text& left, const Text& right, Runtime& runtime) {
  runtime.budget().charge_bytes(left->size() + right->size());
  if (left.is_safe == right.is_safe) {
    return Text{std::make_shared<const std::string>(*left + *right), left.is_safe};
  }
  const std::string joined =
      (left.is_safe ? *left : escape_html(*left)) + (right.is_safe ? *right : escape_html(*right));
  return Text{std::make_shared<const std::string>(joined), true};
}

/// left + right of two strings, two lists or two tuples; absent for anything else.
std::optional<Value> join(const Value& left, const Value& right, Runtime& runtime) {
  if (!is_sequence(left) || !is_sequence(right)) return std::nullopt;
  const auto* left_text = std::get_if<Text>(&left);
  const auto* right_text = std::get_if<Text>(&right);
  if (left_text != nullptr && right_text != nullptr) {
    return join_texts(*left_text, *right_text, runtime);
  }
  if (left_text != nullptr || right_text != nullptr) return std::nullopt;
  const List& a = *std::get<const List*>(left);
  const List& b = *std::get<const List*>(right);
  if ((a.kind == ListKind::kList) != (b.kind == ListKind::kList)) return std::nullopt;
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return runtime.list(std::move(items),
                      a.kind == ListKind::kList ? ListKind::kList : ListKind::kTuple);
}

}  // namespace

Value arithmetic(ExprKind kind, const Value& left, const Value& right, Runtime& runtime) {
  if (kind == ExprKind::kModulo) {
    if (const auto* format = std::get_if<Text>(&left)) {
      if (format->is_safe) runtime.unsupported("formatting a string that is marked safe");
      return runtime.text(percent_format(**format, right, runtime));
    }
  }
  runtime.require_defined(left);
  runtime.require_defined(right);
  if (kind == ExprKind::kAdd) {
    if (auto joined = join(left, right, runtime)) return *std::move(joined);
  }
  const auto whole_left = as_integer(left);
  const auto whole_right = as_integer(right);
  if (whole_left && whole_right) return whole_arithmetic(kind, *whole_left, *whole_right, runtime);
  if (kind == ExprKind::kMultiply) {
    if (whole_right && is_sequence(left)) return repeat(left, *whole_right, runtime);
    if (whole_left && is_sequence(right)) return repeat(right, *whole_left, runtime);
  }
  const auto is_view = [](const Value& value) {
    return holds<const List*>(value) && !is_sequence(value);
  };
  if (kind == ExprKind::kSubtract && (is_view(left) || is_view(right))) {
    runtime.unsupported("a set");
  }
  const auto a = as_double(left);
  const auto b = as_double(right);
  if (!a || !b) {
    runtime.error(fmt::format("'{}' of {} and {} is not possible", operator_name(kind),
                              kind_name(left), kind_name(right)));
  }
  return float_arithmetic(kind, *a, *b, runtime);
}

Value signed_value(ExprKind kind, const Value& value, Runtime& runtime) {
  if (const auto* real = std::get_if<double>(&value)) {
    return kind == ExprKind::kNegative ? -*real : *real;
  }
  runtime.require_defined(value);
  const auto whole = as_integer(value);
  if (!whole) {
    runtime.error(
        fmt::format("the sign '{}' of {} is not possible", operator_name(kind), kind_name(value)));
  }
  if (kind == ExprKind::kPositive) return *whole;
  if (*whole == INT64_MIN) runtime.unsupported("a number beyond 64 bits");
  return -*whole;
}

std::int64_t whole_power(std::int64_t a, std::int64_t b, Runtime& runtime) {
  std::int64_t result = 1;
  std::int64_t square = a;
  bool square_overflowed = false;
  for (std::int64_t rest = b; rest > 0; rest >>= 1) {
    if ((rest & 1) != 0 && (square_overflowed || __builtin_mul_overflow(result, square, &result))) {
      runtime.unsupported("a number beyond 64 bits");
    }
    square_overflowed = square_overflowed || __builtin_mul_overflow(square, square, &square);
  }
  return result;
}

}  // namespace fdllm::jinja
