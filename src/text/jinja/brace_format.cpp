#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/format_spec.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_format.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/subscripts.h"

namespace fdllm::jinja {
namespace {

constexpr int kMaxNesting = 2;  // as Python: a field, and fields within its format

class BraceFormatter {
 public:
  BraceFormatter(const Arguments& arguments, Runtime& runtime)
      : arguments_(arguments), runtime_(runtime) {}

  std::string run(std::string_view format, int level) {
    if (level > kMaxNesting) runtime_.error("a format nested too deeply");
    std::string out;
    for (std::size_t i = 0; i < format.size();) {
      const char c = format[i];
      if ((c == '{' || c == '}') && format.substr(i + 1).starts_with(c)) {
        out += c;
        i += 2;
      } else if (c == '{') {
        const std::size_t end = end_of_field(format, i);
        out += field(format.substr(i + 1, end - i - 1), level);
        i = end + 1;
      } else if (c == '}') {
        runtime_.error("a format with '}' without its '{'");
      } else {
        out += c;
        ++i;
      }
    }
    runtime_.budget().charge_bytes(out.size());
    return out;
  }

 private:
  /// Where the field that opens at `start` closes.
  std::size_t end_of_field(std::string_view format, std::size_t start) const {
    int depth = 0;
    for (std::size_t i = start; i < format.size(); ++i) {
      depth += format[i] == '{' ? 1 : format[i] == '}' ? -1 : 0;
      if (depth == 0) return i;
    }
    runtime_.error("a format with '{' without its '}'");
  }

  std::string field(std::string_view text, int level) {
    std::size_t name_end = 0;
    bool in_brackets = false;
    while (name_end < text.size() &&
           (in_brackets || (text[name_end] != '!' && text[name_end] != ':'))) {
      in_brackets = text[name_end] == '[' || (in_brackets && text[name_end] != ']');
      ++name_end;
    }
    Value value = lookup(text.substr(0, name_end));
    text.remove_prefix(name_end);
    if (text.starts_with('!')) {
      const std::string_view conversion = text.substr(1, 1);
      if (conversion != "s" && conversion != "r" && conversion != "a") {
        runtime_.error("a format's conversion is '!s', '!r' or '!a'");
      }
      value =
          runtime_.text(conversion == "s" ? to_text(value, runtime_) : to_repr(value, runtime_));
      if (conversion == "a" && !is_text_of(*std::get<Text>(value), TextClass::kAscii)) {
        runtime_.unsupported("'!a' of other characters than ASCII");
      }
      text.remove_prefix(2);
    }
    if (!text.empty() && text[0] != ':') runtime_.error("a format expects ':' before its details");
    const std::string spec = text.empty() ? "" : run(text.substr(1), level + 1);
    return write(value, spec);
  }

  Value lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first_value(name.substr(0, end));
    for (std::string_view rest = name.substr(end); !rest.empty();) {
      if (rest[0] == '.') {
        const std::size_t stop = std::min(rest.find_first_of(".[", 1), rest.size());
        if (stop == 1) runtime_.error("a format with an empty attribute");
        value = get_attribute(value, rest.substr(1, stop - 1), runtime_);
        rest.remove_prefix(stop);
      } else {
        const std::size_t close = rest.find(']');
        if (rest[0] != '[' || close == std::string_view::npos || close == 1) {
          runtime_.error("a format with a malformed field " + quote(name));
        }
        const std::string_view key = rest.substr(1, close - 1);
        const auto index = number_of(key);
        value = get_item(value, index ? Value(*index) : text_value(std::string(key)), runtime_);
        rest.remove_prefix(close + 1);
      }
    }
    return value;
  }

  std::optional<std::int64_t> number_of(std::string_view text) const {
    if (text.empty() || text.size() > 9 ||
        text.find_first_not_of("0123456789") != std::string_view::npos) {
      return std::nullopt;
    }
    std::int64_t value = 0;
    for (const char digit : text) value = value * 10 + (digit - '0');
    return value;
  }

  Value first_value(std::string_view name) {
    std::optional<std::int64_t> index = number_of(name);
    if (name.empty()) {
      if (numbered_ == Numbered::kByHand) runtime_.error("a format mixes '{}' and '{0}'");
      numbered_ = Numbered::kInTurn;
      index = next_++;
    } else if (index) {
      if (numbered_ == Numbered::kInTurn) runtime_.error("a format mixes '{}' and '{0}'");
      numbered_ = Numbered::kByHand;
    }
    if (index) {
      if (*index >= std::ssize(arguments_.positional)) {
        runtime_.error(fmt::format("the format has no argument {}", *index));
      }
      return arguments_.positional[static_cast<std::size_t>(*index)];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    runtime_.error("the format has no argument " + quote(name));
  }

  std::string write(const Value& value, const std::string& text) {
    if (text.empty()) return to_text(value, runtime_);
    FormatSpec spec = parse_format_spec(text, runtime_);
    const auto refuse = [&] {
      runtime_.error(fmt::format("the format {} does not fit {}", quote(text), kind_name(value)));
    };
    const auto is_type = [&](std::string_view types) {
      return spec.type == '\0' || types.find(spec.type) != std::string_view::npos;
    };
    if (const auto* string = std::get_if<Text>(&value)) {
      const bool fills_zeros = spec.align == '=' && spec.fill == "0" && !text.starts_with("0=") &&
                               text.find('=') == std::string::npos;
      if (fills_zeros) spec.align = '<';
      if (!is_type("s") || spec.align == '=' || spec.sign != '-' || spec.alternate ||
          spec.grouping != '\0') {
        refuse();
      }
      return format_text(**string, spec, runtime_);
    }
    const bool is_float_type = spec.type != '\0' && is_type("eEfFgG%");
    const auto whole = as_integer(value);
    if (whole && !is_float_type) {
      const bool groups = spec.grouping == ',' && spec.type != '\0' && spec.type != 'd';
      if (!is_type("bcdnoxX") || spec.precision >= 0 || groups) refuse();
      return format_integer(*whole, spec, runtime_);
    }
    const auto number = as_double(value);
    if (!number || !is_type("eEfFgGn%")) refuse();
    return format_float(*number, spec, runtime_);
  }

  enum class Numbered : std::uint8_t { kNot, kInTurn, kByHand };

  const Arguments& arguments_;
  Runtime& runtime_;
  Numbered numbered_ = Numbered::kNot;
  std::int64_t next_ = 0;
};

}  // namespace

std::string brace_format(std::string_view format, const Arguments& arguments, Runtime& runtime) {
  return BraceFormatter(arguments, runtime).run(format, 1);
}

}  // namespace fdllm::jinja
