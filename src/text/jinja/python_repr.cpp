#include "text/jinja/python_repr.h"

#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "text/jinja/python_characters.h"

namespace fdllm::jinja {
namespace {

constexpr int kMaxReprDepth = 200;

/// Writes a value's repr() into one growing string.
class ReprWriter {
 public:
  explicit ReprWriter(Runtime& runtime) : runtime_(runtime) {}

  std::string take() { return std::move(out_); }

  void write(const Value& value) {
    if (++depth_ > kMaxReprDepth) runtime_.error("a value that holds itself can't be printed");
    const std::size_t before = out_.size();
    if (const auto* text = std::get_if<Text>(&value)) {
      runtime_.budget().charge_bytes((*text)->size());
      out_ += text->is_safe ? "Markup(" + text_repr(**text) + ")" : text_repr(**text);
    } else if (const auto* list = std::get_if<const List*>(&value)) {
      write_list(**list);
    } else if (const auto* dict = std::get_if<const Dict*>(&value)) {
      write_dict(**dict);
    } else if (auto* const* space = std::get_if<Namespace*>(&value)) {
      write_namespace(**space);
    } else {
      write_scalar(value);
    }
    runtime_.budget().charge_bytes(out_.size() - before);
    --depth_;
  }

 private:
  void write_scalar(const Value& value) {
    if (holds<Undefined>(value)) {
      out_ += "Undefined";
    } else if (holds<None>(value)) {
      out_ += "None";
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      out_ += *flag ? "True" : "False";
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      out_ += std::to_string(*number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      out_ += float_repr(*real);
    } else if (auto* const* loop = std::get_if<Loop*>(&value)) {
      (*loop)->reaches(SIZE_MAX - 1);
      out_ += fmt::format("<LoopContext {}/{}>", (*loop)->index + 1, (*loop)->items.size());
    } else {
      const auto* callable = std::get_if<const Callable*>(&value);
      if (callable == nullptr || (*callable)->kind != CallableKind::kMacro) {
        runtime_.unsupported(fmt::format("printing {}", kind_name(value)));
      }
      const std::string& name = (*callable)->name;
      out_ += "<Macro " + (name.empty() ? "anonymous" : text_repr(name)) + ">";
    }
  }

  void write_items(const std::vector<Value>& items) {
    std::string_view separator;
    for (const Value& item : items) {
      out_ += separator;
      separator = ", ";
      write(item);
    }
  }

  void write_list(const List& list) {
    if (list.kind == ListKind::kRange) {
      const auto& [begin, end, step] = list.range;
      out_ += step == 1 ? fmt::format("range({}, {})", begin, end)
                        : fmt::format("range({}, {}, {})", begin, end, step);
      return;
    }
    const bool is_tuple = list.kind == ListKind::kTuple || list.kind == ListKind::kGroup;
    switch (list.kind) {
      case ListKind::kKeys:
        out_ += "dict_keys(";
        break;
      case ListKind::kValues:
        out_ += "dict_values(";
        break;
      case ListKind::kItems:
        out_ += "dict_items(";
        break;
      default:
        break;
    }
    out_ += is_tuple ? '(' : '[';
    write_items(list.items);
    if (is_tuple && list.items.size() == 1) out_ += ',';
    out_ += is_tuple ? ')' : ']';
    if (list.kind != ListKind::kList && !is_tuple) out_ += ')';
  }

  void write_dict(const Dict& dict) {
    out_ += '{';
    std::string_view separator;
    for (const auto& [key, value] : dict.items) {
      out_ += separator;
      separator = ", ";
      write(key);
      out_ += ": ";
      write(value);
    }
    out_ += '}';
  }

  void write_namespace(const Namespace& space) {
    out_ += "<Namespace {";
    std::string_view separator;
    for (const std::string& name : space.order) {
      out_ += separator;
      separator = ", ";
      out_ += text_repr(name) + ": ";
      write(space.attributes.find(name)->second);
    }
    out_ += "}>";
  }

  Runtime& runtime_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

std::string to_text(const Value& value, Runtime& runtime) {
  if (const auto* text = std::get_if<Text>(&value)) return **text;
  if (holds<Undefined>(value)) return {};
  return to_repr(value, runtime);
}

std::string to_repr(const Value& value, Runtime& runtime) {
  ReprWriter writer(runtime);
  writer.write(value);
  return writer.take();
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value),
                                 std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  const std::size_t mark = text.find('e');
  std::string digits(text.substr(0, mark));
  std::erase(digits, '.');
  int exponent = 0;
  const std::size_t sign = text[mark + 1] == '+' ? 2 : 1;
  std::from_chars(text.data() + mark + sign, text.data() + text.size(), exponent);
  const std::string minus = std::signbit(value) ? "-" : "";
  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = count > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", minus, digits[0], fraction, exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  if (exponent < 0) {
    return minus + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  }
  if (count <= exponent + 1) {
    return minus + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  }
  digits.insert(static_cast<std::size_t>(exponent) + 1, ".");
  return minus + digits;
}

std::string text_repr(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote_sign = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote_sign);
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Unit unit = read_utf8(text, offset);
    const char32_t value = unit.value;
    if (value == static_cast<char32_t>(quote_sign) || value == U'\\') {
      out += '\\';
      out += static_cast<char>(value);
    } else if (value == U'\n' || value == U'\r' || value == U'\t') {
      out += value == U'\n' ? "\\n" : value == U'\r' ? "\\r" : "\\t";
    } else if (is_printable(value)) {
      out += text.substr(offset, unit.size);
    } else {
      const auto number = static_cast<std::uint32_t>(value);
      out += number < 0x100     ? fmt::format("\\x{:02x}", number)
             : number < 0x10000 ? fmt::format("\\u{:04x}", number)
                                : fmt::format("\\U{:08x}", number);
    }
    offset += unit.size;
  }
  out += quote_sign;
  return out;
}

}  // namespace fdllm::jinja
