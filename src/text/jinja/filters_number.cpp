#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/check.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/attribute_path.h"
#include "text/jinja/filter_functions.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja::filters {
namespace {

/// Digits with single underscores between them, as Python takes them in numbers; absent where they
/// are not so.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
    } else if (i == 0 || i + 1 == text.size() || text[i - 1] == '_' || text[i + 1] == '_') {
      return std::nullopt;
    }
  }
  return digits;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 36;
}

/// Python's int(text, base); absent where that raises ValueError.
std::optional<std::int64_t> parse_whole(std::string_view text, std::int64_t base,
                                        Runtime& runtime) {
  text = strip(text, nullptr, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const char prefix = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : ' ';
  const std::int64_t named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
  if (named != 0 && (base == named || base == 0)) {
    base = named;
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
  } else if (base == 0) {
    base = 10;
    const bool is_zero = text.find_first_not_of("0_") == std::string_view::npos;
    if (text.starts_with('0') && !is_zero) return std::nullopt;
  }
  if (base < 2 || base > 36) return std::nullopt;
  const auto digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : *digits) {
    const int digit = digit_value(c);
    if (digit >= base) return std::nullopt;
    if (__builtin_mul_overflow(value, base, &value) ||
        __builtin_sub_overflow(value, std::int64_t{digit}, &value)) {
      runtime.unsupported("a number beyond 64 bits");
    }
  }
  if (!negative && value == INT64_MIN) runtime.unsupported("a number beyond 64 bits");
  return negative ? value : -value;
}

/// Python's float(text); absent where that raises ValueError.
std::optional<double> parse_float(std::string_view text) {
  const auto stripped = without_underscores(strip(text, nullptr, Side::kBoth));
  if (!stripped || stripped->empty()) return std::nullopt;
  std::string lower = to_lower(*stripped);
  const std::string_view unsigned_text =
      std::string_view(lower).substr(lower[0] == '+' || lower[0] == '-' ? 1 : 0);
  const bool is_word =
      unsigned_text == "inf" || unsigned_text == "infinity" || unsigned_text == "nan";
  if (!is_word &&
      (unsigned_text.empty() || lower.find_first_not_of("0123456789.e+-") != std::string::npos)) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(lower.c_str(), &end);
  if (end != lower.c_str() + lower.size()) return std::nullopt;
  return value;
}

/// Towards zero; absent for what has no whole number.
std::optional<std::int64_t> whole_of(double value, Runtime& runtime) {
  if (!std::isfinite(value)) return std::nullopt;
  if (!(std::fabs(value) < 9.2e18)) runtime.unsupported("a number beyond 64 bits");
  return static_cast<std::int64_t>(value);
}

double power_of_ten(std::int64_t exponent) {
  return std::pow(10.0, static_cast<double>(exponent));
}

/// Python's round(): to the even one where two are as near.
double round_float(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 320) return value;
  if (digits < -320) return std::copysign(0.0, value);
  if (digits >= 0) {
    return std::strtod(fmt::format("{:.{}f}", value, static_cast<int>(digits)).c_str(), nullptr);
  }
  const double unit = power_of_ten(-digits);
  return std::nearbyint(value / unit) * unit;
}

Value round_whole(std::int64_t value, std::int64_t digits, Runtime& runtime) {
  if (digits >= 0) return value;
  if (digits < -18) return std::int64_t{0};
  const std::int64_t unit = whole_power(10, -digits, runtime);
  const std::int64_t rest = (value % unit + unit) % unit;
  const std::int64_t below = (value - rest) / unit;
  const bool up = rest > unit / 2 || (rest == unit / 2 && unit % 2 == 0 && below % 2 != 0);
  std::int64_t result = 0;
  if (__builtin_mul_overflow(below + (up ? 1 : 0), unit, &result)) {
    runtime.unsupported("a number beyond 64 bits");
  }
  return result;
}

}  // namespace

Value absolute(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "abs", arguments, {});
  runtime.require_defined(value);
  if (const auto* real = std::get_if<double>(&value)) return std::fabs(*real);
  const auto whole = as_integer(value);
  if (!whole) runtime.error(fmt::format("'abs' of {}", kind_name(value)));
  return *whole < 0 ? signed_value(ExprKind::kNegative, *whole, runtime) : Value(*whole);
}

Value to_int(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "int", arguments, {"default", "base"});
  const Value fallback = bound.value(0, std::int64_t{0});
  runtime.require_defined(value);
  if (const auto whole = as_integer(value)) return *whole;
  std::optional<std::int64_t> result;
  if (const auto* real = std::get_if<double>(&value)) {
    if (std::isinf(*real)) runtime.error("'int' of an infinite number");
    result = whole_of(*real, runtime);
  } else if (const auto* text = std::get_if<Text>(&value)) {
    runtime.budget().charge_bytes((*text)->size());
    const auto base = as_integer(bound.value(1, std::int64_t{10}));
    if (base) result = parse_whole(**text, *base, runtime);
    if (!result) {
      if (const auto real_text = parse_float(**text)) result = whole_of(*real_text, runtime);
    }
  }
  return result ? Value(*result) : fallback;
}

Value to_float(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "float", arguments, {"default"});
  runtime.require_defined(value);
  std::optional<double> result = as_double(value);
  if (const auto* text = std::get_if<Text>(&value)) {
    runtime.budget().charge_bytes((*text)->size());
    result = parse_float(**text);
  }
  return result ? Value(*result) : bound.value(0, 0.0);
}

Value round(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "round", arguments, {"precision", "method"});
  const std::int64_t precision = bound.integer(0);
  const std::string method = bound.text(1, "common");
  if (method != "common" && method != "ceil" && method != "floor") {
    runtime.error("'round' expects 'common', 'ceil' or 'floor'");
  }
  runtime.require_defined(value);
  const auto whole = as_integer(value);
  const auto real = as_double(value);
  if (!real) runtime.error(fmt::format("'round' of {}", kind_name(value)));
  if (method == "common") {
    return whole ? round_whole(*whole, precision, runtime) : Value(round_float(*real, precision));
  }
  if (std::abs(precision) > 300) runtime.error("'round' to so many digits");
  const Value unit = arithmetic(ExprKind::kPower, std::int64_t{10}, precision, runtime);
  const Value scaled = arithmetic(ExprKind::kMultiply, value, unit, runtime);
  const double exact = *as_double(scaled);
  const auto nearest = whole_of(method == "ceil" ? std::ceil(exact) : std::floor(exact), runtime);
  if (!nearest) runtime.error("'round' of a number that isn't finite");
  return arithmetic(ExprKind::kDivide, *nearest, unit, runtime);
}

Value sum(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "sum", arguments, {"attribute", "start"});
  const AttributePath path(bound.value(0, None{}), runtime);
  Value total = bound.value(1, std::int64_t{0});
  if (holds<Text>(total)) runtime.error("'sum' adds no strings; use 'join'");
  for (const Value& item : runtime.iterate(value)) {
    total = arithmetic(ExprKind::kAdd, total, path.of(item, None{}, runtime), runtime);
  }
  return total;
}

Value filesizeformat(const Value& value, const Arguments& arguments, Runtime& runtime) {
  constexpr std::array<std::string_view, 8> kDecimal = {"kB", "MB", "GB", "TB",
                                                        "PB", "EB", "ZB", "YB"};
  constexpr std::array<std::string_view, 8> kBinary = {"KiB", "MiB", "GiB", "TiB",
                                                       "PiB", "EiB", "ZiB", "YiB"};
  const Bound bound(runtime, "filesizeformat", arguments, {"binary"});
  runtime.require_defined(value);
  const auto* text = std::get_if<Text>(&value);
  const auto bytes = text != nullptr ? parse_float(**text) : as_double(value);
  if (!bytes || !std::isfinite(*bytes)) runtime.error("'filesizeformat' expects a number");
  const bool binary = bound.flag(0);
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return runtime.text("1 Byte");
  if (*bytes < base) return runtime.text(fmt::format("{:.0f} Bytes", std::trunc(*bytes)));
  double unit = base;
  std::size_t index = 0;
  while (*bytes >= unit * base && index + 1 < kDecimal.size()) {
    unit *= base;
    ++index;
  }
  return runtime.text(fmt::format("{:.1f} {}", base * *bytes / (unit * base),
                                  binary ? kBinary[index] : kDecimal[index]));
}

}  // namespace fdllm::jinja::filters
