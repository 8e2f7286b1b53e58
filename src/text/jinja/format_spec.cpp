#include "text/jinja/format_spec.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/check.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja {
namespace {

/// More digits than any float has.
constexpr std::int64_t kMaxPrecision = 1000;

bool is_align(std::string_view character) {
  return character == "<" || character == ">" || character == "^" || character == "=";
}

/// Takes the digits at the start of `text`; -1 where there are none.
std::int64_t take_number(std::string_view& text, Runtime& runtime) {
  std::int64_t value = -1;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    value = std::max<std::int64_t>(value, 0) * 10 + (text[0] - '0');
    if (value > INT32_MAX) runtime.error("a width too large");
    text.remove_prefix(1);
  }
  return value;
}

bool take(std::string_view& text, char c) {
  const bool found = text.starts_with(c);
  if (found) text.remove_prefix(1);
  return found;
}

void append_repeated(std::string& out, std::string_view part, std::int64_t count) {
  for (; count > 0; --count) out += part;
}

/// `body` (which `head`, a sign or prefix, goes before) padded to the width.
std::string pad(std::string_view head, std::string_view body, const FormatSpec& spec,
                Runtime& runtime) {
  const std::int64_t missing =
      std::max<std::int64_t>(spec.width - count_characters(head) - count_characters(body), 0);
  runtime.budget().charge_bytes(static_cast<std::size_t>(missing) * 4 + body.size());
  const std::int64_t left = spec.align == '<' || spec.align == '=' ? 0
                            : spec.align == '^'                    ? missing / 2
                                                                   : missing;
  std::string out;
  append_repeated(out, spec.fill, left);
  out += head;
  if (spec.align == '=') append_repeated(out, spec.fill, missing);
  out += body;
  if (spec.align != '=') append_repeated(out, spec.fill, missing - left);
  return out;
}

/// Digits with a separator between groups of `size`, counted from the right.
std::string group(std::string_view digits, char separator, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) out += separator;
    out += digits[i];
  }
  return out;
}

/// Zeros that fill a number up to the width are grouped too.
std::string group_filled(std::string digits, const FormatSpec& spec, std::int64_t taken,
                         std::size_t size) {
  const bool fills = spec.align == '=' && spec.fill == "0";
  std::string grouped = group(digits, spec.grouping, size);
  while (fills && std::ssize(grouped) + taken < spec.width) {
    digits.insert(0, "0");
    grouped = group(digits, spec.grouping, size);
  }
  return grouped;
}

std::string pad_number(bool negative, std::string_view prefix, std::string body,
                       const FormatSpec& spec, Runtime& runtime) {
  std::string head = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  head += prefix;
  if (spec.grouping != '\0') {
    if (spec.width > kMaxPrecision) runtime.unsupported("a width so large with separators");
    const std::size_t whole =
        std::min(body.find_first_not_of("0123456789abcdefABCDEF"), body.size());
    const bool by_four =
        spec.type == 'x' || spec.type == 'X' || spec.type == 'b' || spec.type == 'o';
    const std::size_t end = std::min(by_four ? body.size() : body.find_first_of("eE."), whole);
    const std::string rest = body.substr(end);
    body = group_filled(body.substr(0, end), spec, std::ssize(head) + std::ssize(rest),
                        by_four ? 4 : 3) +
           rest;
  }
  FormatSpec aligned = spec;
  if (aligned.align == '\0') aligned.align = '>';
  return pad(head, body, aligned, runtime);
}

std::string digits_of(std::uint64_t value, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", value);
    case 'X':
      return fmt::format("{:X}", value);
    case 'o':
      return fmt::format("{:o}", value);
    case 'b':
      return fmt::format("{:b}", value);
    default:
      return fmt::format("{}", value);
  }
}

std::string printf_float(double value, char type, std::int64_t precision, bool alternate) {
  const auto digits = static_cast<int>(precision);
  switch (type) {
    case 'e':
      return alternate ? fmt::format("{:#.{}e}", value, digits)
                       : fmt::format("{:.{}e}", value, digits);
    case 'f':
      return alternate ? fmt::format("{:#.{}f}", value, digits)
                       : fmt::format("{:.{}f}", value, digits);
    default:
      return alternate ? fmt::format("{:#.{}g}", value, digits)
                       : fmt::format("{:.{}g}", value, digits);
  }
}

/// Without a type: as `g`, but there is always a digit behind the point.
std::string general_float(double value, const FormatSpec& spec) {
  if (spec.precision < 0) return float_repr(value);
  const std::int64_t precision = std::max<std::int64_t>(spec.precision, 1);
  std::string scientific = printf_float(value, 'e', precision - 1, false);
  const int exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  if (exponent >= -4 && exponent < precision - 1) {
    std::string text = printf_float(value, 'g', precision, spec.alternate);
    return text.find('.') == std::string::npos ? text + ".0" : text;
  }
  // Trailing zeros go, as with g.
  const std::size_t mark = scientific.find('e');
  std::string digits = scientific.substr(0, mark);
  if (digits.find('.') != std::string::npos && !spec.alternate) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.ends_with('.')) digits.pop_back();
  }
  return digits + scientific.substr(mark);
}

}  // namespace

FormatSpec parse_format_spec(std::string_view text, Runtime& runtime) {
  FormatSpec spec;
  const std::string_view whole = text;
  const std::size_t first = text.empty() ? 0 : utf8_length(text[0]);
  const bool has_fill = text.size() > first && is_align(text.substr(first, 1));
  if (has_fill) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && is_align(text.substr(0, 1))) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  for (const char sign : {'+', '-', ' '}) {
    if (take(text, sign)) {
      spec.sign = sign;
      break;
    }
  }
  spec.alternate = take(text, '#');
  if (take(text, '0')) {
    if (!has_fill) spec.fill = "0";
    if (spec.align == '\0') spec.align = '=';
  }
  spec.width = std::max<std::int64_t>(take_number(text, runtime), 0);
  if (take(text, ',')) {
    spec.grouping = ',';
  } else if (take(text, '_')) {
    spec.grouping = '_';
  }
  if (take(text, '.')) {
    spec.precision = take_number(text, runtime);
    if (spec.precision < 0) runtime.error("a format without its precision");
  }
  if (text.size() == 1) {
    spec.type = text[0];
  } else if (!text.empty()) {
    runtime.error(fmt::format("the format {} is malformed", quote(whole)));
  }
  return spec;
}

std::string format_text(std::string_view text, const FormatSpec& spec, Runtime& runtime) {
  if (spec.precision >= 0) text = text.substr(0, offset_of_character(text, spec.precision));
  FormatSpec aligned = spec;
  if (aligned.align == '\0') aligned.align = '<';
  return pad("", text, aligned, runtime);
}

std::string format_integer(std::int64_t value, const FormatSpec& spec, Runtime& runtime) {
  if (spec.type == 'c') {
    if (value < 0 || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      runtime.error(fmt::format("{} is no character", value));
    }
    std::string character;
    append_utf8(character, static_cast<char32_t>(value));
    FormatSpec aligned = spec;
    if (aligned.align == '\0') aligned.align = '<';
    return pad("", character, aligned, runtime);
  }
  const std::uint64_t magnitude =
      value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::string digits = digits_of(magnitude, spec.type);
  const bool has_prefix =
      spec.alternate && spec.type != 'd' && spec.type != '\0' && spec.type != 'n';
  const std::string prefix = has_prefix ? std::string("0") + spec.type : "";
  return pad_number(value < 0, prefix, std::move(digits), spec, runtime);
}

std::string format_float(double value, const FormatSpec& spec, Runtime& runtime) {
  if (spec.precision > kMaxPrecision) runtime.unsupported("a precision so large");
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::fabs(value) * (spec.type == '%' ? 100 : 1);
  const char lower = static_cast<char>(spec.type | 0x20);
  const bool is_upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
  std::string body;
  if (!std::isfinite(magnitude)) {
    body = std::isnan(magnitude) ? "nan" : "inf";
  } else if (spec.type == '\0') {
    body = general_float(magnitude, spec);
  } else {
    const std::int64_t precision = spec.precision < 0 ? 6 : spec.precision;
    const char type = lower == 'e' ? 'e' : lower == 'f' || spec.type == '%' ? 'f' : 'g';
    body = printf_float(magnitude, type, precision, spec.alternate);
  }
  if (spec.type == '%') body += '%';
  if (is_upper)
    std::transform(body.begin(), body.end(), body.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c; });
  return pad_number(negative, "", std::move(body), spec, runtime);
}

}  // namespace fdllm::jinja
