#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/format_spec.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_format.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja {
namespace {

constexpr std::int64_t kMaxWidth = INT32_MAX;

class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, const Value& arguments, Runtime& runtime)
      : rest_(format), arguments_(arguments), runtime_(runtime) {
    const auto* list = std::get_if<const List*>(&arguments);
    if (list != nullptr &&
        ((*list)->kind == ListKind::kTuple || (*list)->kind == ListKind::kGroup)) {
      tuple_ = *list;
    }
    // What has items by key or index may stay unused.
    may_stay_unused_ = holds<const Dict*>(arguments) || holds<Undefined>(arguments) ||
                       (list != nullptr &&
                        ((*list)->kind == ListKind::kList || (*list)->kind == ListKind::kRange));
  }

  std::string run() {
    std::string out;
    while (!rest_.empty()) {
      const std::size_t sign = std::min(rest_.find('%'), rest_.size());
      out += rest_.substr(0, sign);
      rest_.remove_prefix(sign);
      if (!rest_.empty()) out += conversion();
      runtime_.budget().charge_bytes(sign + 16);
    }
    const bool unused =
        tuple_ != nullptr ? used_ < tuple_->items.size() : used_ == 0 && !may_stay_unused_;
    if (unused) runtime_.error("'%' is given more values than the format takes");
    return out;
  }

 private:
  char take() {
    if (rest_.empty()) runtime_.error("a format ends within a conversion");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  const Value& next_value() {
    if (tuple_ == nullptr) {
      if (used_++ > 0) runtime_.error("'%' is given too few values for the format");
      return arguments_;
    }
    if (used_ >= tuple_->items.size()) {
      runtime_.error("'%' is given too few values for the format");
    }
    return tuple_->items[used_++];
  }

  const Value& named_value() {
    std::size_t end = 0;
    for (int depth = 1; end < rest_.size(); ++end) {
      depth += rest_[end] == '(' ? 1 : rest_[end] == ')' ? -1 : 0;
      if (depth == 0) break;
    }
    if (end >= rest_.size()) runtime_.error("a format with '%(' without its ')'");
    const std::string_view name = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    const auto* dict = std::get_if<const Dict*>(&arguments_);
    if (dict == nullptr) runtime_.error("a format with names expects a dictionary");
    runtime_.budget().charge((*dict)->items.size());
    const Value* found = (*dict)->find(name);
    if (found == nullptr) runtime_.error("the dictionary has no item " + quote(name));
    return *found;
  }

  /// A width or precision: digits, or * for the next value.
  std::int64_t take_number() {
    if (rest_.starts_with('*')) {
      rest_.remove_prefix(1);
      const auto number = as_integer(next_value());
      if (!number || *number > kMaxWidth || *number < -kMaxWidth) {
        runtime_.error("'*' in a format expects a whole number");
      }
      return *number;
    }
    std::int64_t value = 0;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      value = value * 10 + (take() - '0');
      if (value > kMaxWidth) runtime_.error("a width too large");
    }
    return value;
  }

  std::string conversion() {
    take();
    const Value* named = nullptr;
    if (rest_.starts_with('(')) {
      take();
      named = &named_value();
    }
    FormatSpec spec;
    bool zero = false;
    bool left = false;
    while (!rest_.empty() && std::string_view("#0- +").find(rest_[0]) != std::string_view::npos) {
      const char flag = take();
      zero = zero || flag == '0';
      left = left || flag == '-';
      spec.alternate = spec.alternate || flag == '#';
      if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
    }
    spec.width = take_number();
    if (spec.width < 0) {
      left = true;
      spec.width = -spec.width;
    }
    if (rest_.starts_with('.')) {
      take();
      spec.precision = std::max<std::int64_t>(take_number(), 0);
    }
    if (!rest_.empty() && std::string_view("hlL").find(rest_[0]) != std::string_view::npos) take();
    spec.type = take();
    spec.align = left ? '<' : zero ? '=' : '>';
    if (zero && !left) spec.fill = "0";
    if (spec.type == '%') return "%";
    return convert(named != nullptr ? *named : next_value(), spec);
  }

  std::string convert(const Value& value, FormatSpec spec) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a':
        return convert_text(spec.type == 's' ? to_text(value, runtime_) : to_repr(value, runtime_),
                            spec);
      case 'c':
        return convert_character(value, spec);
      case 'd':
      case 'i':
      case 'u':
        spec.type = 'd';
        return convert_integer(value, spec);
      case 'x':
      case 'X':
      case 'o':
        return convert_integer(value, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return convert_float(value, spec);
      default:
        runtime_.error(fmt::format("the conversion '%{}' is unknown", spec.type));
    }
  }

  std::string convert_text(const std::string& text, FormatSpec spec) {
    if (spec.type == 'a' && !is_text_of(text, TextClass::kAscii)) {
      runtime_.unsupported("'%a' of other characters than ASCII");
    }
    spec.fill = " ";
    if (spec.align == '=') spec.align = '>';
    return format_text(text, spec, runtime_);
  }

  std::string convert_character(const Value& value, FormatSpec spec) {
    spec.precision = -1;
    if (const auto* text = std::get_if<Text>(&value)) {
      if (count_characters(**text) != 1) runtime_.error("'%c' expects one character");
      return convert_text(**text, spec);
    }
    const auto number = as_integer(value);
    if (!number) runtime_.error(fmt::format("'%c' of {}", kind_name(value)));
    spec.fill = " ";
    if (spec.align == '=') spec.align = '>';
    return format_integer(*number, spec, runtime_);
  }

  std::string convert_integer(const Value& value, FormatSpec spec) {
    runtime_.require_defined(value);
    auto number = as_integer(value);
    if (const auto* real = std::get_if<double>(&value); real != nullptr && spec.type == 'd') {
      if (!(std::fabs(*real) < 9.2e18)) runtime_.error("a float too large for a whole number");
      number = static_cast<std::int64_t>(*real);
    }
    if (!number) {
      runtime_.error(fmt::format("'%{}' expects a number, found {}", spec.type, kind_name(value)));
    }
    if (spec.precision > 20) {
      // Digits are filled up to the precision, which takes no part in the width's zeros.
      runtime_.unsupported("a precision so large");
    }
    FormatSpec digits = spec;
    digits.width = 0;
    std::string text = format_integer(*number, digits, runtime_);
    const std::size_t first = text.find_first_not_of("+- ");
    const std::size_t start = spec.alternate && spec.type != 'd' ? first + 2 : first;
    while (std::ssize(text) - static_cast<std::ptrdiff_t>(start) < spec.precision) {
      text.insert(start, "0");
    }
    if (spec.align == '=') {
      runtime_.budget().charge_bytes(static_cast<std::size_t>(spec.width));
      if (std::ssize(text) < spec.width) {
        text.insert(start, static_cast<std::size_t>(spec.width - std::ssize(text)), '0');
      }
      return text;
    }
    FormatSpec padding;
    padding.width = spec.width;
    padding.align = spec.align;
    return format_text(text, padding, runtime_);
  }

  std::string convert_float(const Value& value, const FormatSpec& spec) {
    runtime_.require_defined(value);
    const auto number = as_double(value);
    if (!number) {
      runtime_.error(fmt::format("'%{}' expects a number, found {}", spec.type, kind_name(value)));
    }
    return format_float(*number, spec, runtime_);
  }

  std::string_view rest_;
  const Value& arguments_;
  Runtime& runtime_;
  const List* tuple_ = nullptr;
  bool may_stay_unused_ = false;
  std::size_t used_ = 0;
};

}  // namespace

std::string percent_format(std::string_view format, const Value& arguments, Runtime& runtime) {
  return PercentFormatter(format, arguments, runtime).run();
}

}  // namespace fdllm::jinja
