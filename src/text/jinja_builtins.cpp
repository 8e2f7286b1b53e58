#include "text/jinja_builtins.h"

#include <algorithm>
#include <array>

#include <utf8proc.h>

#include "base/check.h"
#include "base/quote.h"
#include "text/utf8.h"

namespace fdllm::jinja {
namespace {

/// Values larger than this are not compared or turned to JSON.
constexpr std::size_t kMaxValueBytes = std::size_t{1} << 24;

template <typename T>
bool holds(const Value& value) {
  return std::holds_alternative<T>(value);
}

/// Upper or lower case by Unicode's simple mappings, and "SS" for the German sharp s.
std::string change_case(std::string_view text, bool upper) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Unit unit = read_utf8(text, offset);
    offset += unit.size;
    const auto code = static_cast<utf8proc_int32_t>(unit.value);
    if (upper && unit.value == U'ß') {
      result += "SS";
    } else {
      append_utf8(result,
                  static_cast<char32_t>(upper ? utf8proc_toupper(code) : utf8proc_tolower(code)));
    }
  }
  return result;
}

bool is_test(std::string_view name) {
  constexpr std::array<std::string_view, 14> kTests = {
      "defined", "undefined", "none",    "string",   "integer",  "number", "boolean",
      "true",    "false",     "mapping", "iterable", "sequence", "odd",    "even"};
  return std::find(kTests.begin(), kTests.end(), name) != kTests.end();
}

enum class Side { kLeft, kRight, kBoth };

/// Python's strip: of the characters in `characters`, or of white space where that is null.
std::string_view strip(std::string_view text, const std::string* characters, Side side) {
  const auto drops = [&](std::string_view unit) {
    if (characters == nullptr) return is_python_space(read_utf8(unit, 0).value);
    return characters->find(unit) != std::string::npos;
  };
  if (side != Side::kRight) {
    while (!text.empty() && drops(text.substr(0, utf8_length(text.front())))) {
      text.remove_prefix(utf8_length(text.front()));
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty()) {
      std::size_t start = text.size() - 1;
      while ((static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
      if (!drops(text.substr(start))) break;
      text = text.substr(0, start);
    }
  }
  return text;
}

std::vector<Value> split_at_space(std::string_view text, std::int64_t most) {
  std::vector<Value> parts;
  text = strip(text, nullptr, Side::kLeft);
  while (!text.empty()) {
    std::size_t end = 0;
    while (end < text.size() && !is_python_space(read_utf8(text, end).value)) {
      end += utf8_length(text[end]);
    }
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) end = text.size();
    // The last part keeps its trailing space only where the count of splits stopped it.
    parts.push_back(text_value(std::string(text.substr(0, end))));
    text = strip(text.substr(end), nullptr, Side::kLeft);
  }
  return parts;
}

}  // namespace

void Budget::charge(std::size_t units) {
  if (units > units_) {
    fail(ErrorCode::kUnsupported,
         "chat template: rendering takes too much work; is this a template for chats?");
  }
  units_ -= units;
}

void Call::error(ErrorCode code, std::string_view what) const {
  fail(code, "chat template: line {}: {}", line_, what);
}

void Call::unsupported(std::string_view kind) const {
  error(ErrorCode::kUnsupported, fmt::format("the {} {} is not supported", kind, quote(name_)));
}

void Call::expect_arguments(std::size_t least, std::size_t most, std::string_view named) const {
  for (const auto& [name, value] : arguments_.named) {
    if (name != named) {
      error(ErrorCode::kUnsupported,
            fmt::format("the argument {} of {} is not supported", quote(name), quote(name_)));
    }
  }
  const std::size_t count = arguments_.positional.size();
  if (count < least || count > most) {
    error(ErrorCode::kInvalidArgument,
          fmt::format("{} takes {} to {} arguments, found {}", quote(name_), least, most, count));
  }
}

const Value* Call::argument(std::size_t index, std::string_view name) const {
  if (index < arguments_.positional.size()) return &arguments_.positional[index];
  for (const auto& [key, value] : arguments_.named) {
    if (key == name) return &value;
  }
  return nullptr;
}

const std::string& Call::text_argument(std::size_t index) const {
  const Value& value = arguments_.positional[index];
  if (const auto* text = std::get_if<Text>(&value)) return **text;
  error(ErrorCode::kInvalidArgument,
        fmt::format("{} expects a string, found {}", quote(name_), kind_name(value)));
}

std::int64_t Call::number_argument(std::size_t index) const {
  const Value& value = arguments_.positional[index];
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  error(ErrorCode::kInvalidArgument,
        fmt::format("{} expects a whole number, found {}", quote(name_), kind_name(value)));
}

Value Call::make_text(std::string text) const {
  budget_.charge_bytes(text.size());
  return text_value(std::move(text));
}

Value Call::make_list(std::vector<Value> items) const {
  budget_.charge_bytes(64 + items.size() * sizeof(Value));
  return arena_.list(std::move(items));
}

std::string Call::to_text(const Value& value) const {
  return printed(value, line_);
}

Value Call::join(std::string_view separator, const Value& items) const {
  std::string text;
  bool first = true;
  for (const Value& item : iterate(items, budget_, line_)) {
    if (!first) text += separator;
    first = false;
    text += to_text(item);
    budget_.charge_bytes(separator.size());
  }
  return make_text(std::move(text));
}

Value Call::filter(const Value& input) const {
  if (name_ == "trim") {
    expect_arguments(0, 1);
    const std::string* characters = argument(0) != nullptr ? &text_argument(0) : nullptr;
    return make_text(std::string(strip(to_text(input), characters, Side::kBoth)));
  }
  if (name_ == "length" || name_ == "count") {
    expect_arguments(0, 0);
    if (const auto* text = std::get_if<Text>(&input)) {
      budget_.charge_bytes((*text)->size());
      return count_characters(**text);
    }
    if (const auto* loop = std::get_if<const Loop*>(&input)) {
      return static_cast<std::int64_t>((*loop)->items->items.size());
    }
    return static_cast<std::int64_t>(iterate(input, budget_, line_).size());
  }
  if (name_ == "default" || name_ == "d") {
    for (const auto& [name, value] : arguments_.named) {
      if (name != "boolean" && name != "default_value") expect_arguments(0, 2);
    }
    const Value* fallback = argument(0, "default_value");
    const Value* boolean = argument(1, "boolean");
    const bool replaces =
        holds<Undefined>(input) || (boolean != nullptr && is_true(*boolean) && !is_true(input));
    if (!replaces) return input;
    return fallback != nullptr ? *fallback : text_value("");
  }
  if (name_ == "upper" || name_ == "lower") {
    expect_arguments(0, 0);
    return make_text(change_case(to_text(input), name_ == "upper"));
  }
  if (name_ == "join") {
    expect_arguments(0, 1, "d");
    const Value* separator = argument(0, "d");
    return join(separator != nullptr ? to_text(*separator) : "", input);
  }
  if (name_ == "first" || name_ == "last") {
    expect_arguments(0, 0);
    const std::vector<Value> items = iterate(input, budget_, line_);
    if (items.empty())
      return undefined_value("No " + std::string(name_) + " item, sequence was empty.");
    return name_ == "first" ? items.front() : items.back();
  }
  if (name_ == "string") {
    expect_arguments(0, 0);
    return make_text(to_text(input));
  }
  if (name_ == "list") {
    expect_arguments(0, 0);
    return make_list(iterate(input, budget_, line_));
  }
  if (name_ == "replace") {
    expect_arguments(2, 3);
    return replace(to_text(input));
  }
  if (name_ == "items") {
    expect_arguments(0, 0);
    if (holds<Undefined>(input)) return make_list({});
    if (const auto* dict = std::get_if<const Dict*>(&input)) return dict_method(**dict);
    error(ErrorCode::kInvalidArgument, "items expects a dictionary");
  }
  if (name_ == "tojson") {
    expect_arguments(0, 0);
    const std::size_t size = size_of_value(input);
    budget_.charge_bytes(size);
    if (size > kMaxValueBytes) error(ErrorCode::kUnsupported, "a value too large for JSON");
    std::string json;
    if (!append_json(input, json)) {
      error(ErrorCode::kInvalidArgument,
            fmt::format("{} can't be written as JSON", kind_name(input)));
    }
    return make_text(std::move(json));
  }
  unsupported("filter");
}

bool Call::test(const Value& input) const {
  const bool has_argument =
      name_ == "equalto" || name_ == "eq" || name_ == "ne" || name_ == "divisibleby";
  if (has_argument) {
    expect_arguments(1, 1);
  } else if (!arguments_.positional.empty() || !arguments_.named.empty()) {
    // An unknown test's arguments say nothing; its name does.
    if (!is_test(name_)) unsupported("test");
    expect_arguments(0, 0);
  }
  if (name_ == "defined" || name_ == "undefined") {
    return holds<Undefined>(input) == (name_ == "undefined");
  }
  if (name_ == "none") return holds<None>(input);
  if (name_ == "string") return holds<Text>(input);
  if (name_ == "integer") return holds<std::int64_t>(input);
  if (name_ == "number") return holds<std::int64_t>(input) || holds<bool>(input);
  if (name_ == "boolean") return holds<bool>(input);
  if (name_ == "true") return holds<bool>(input) && std::get<bool>(input);
  if (name_ == "false") return holds<bool>(input) && !std::get<bool>(input);
  if (name_ == "mapping") return holds<const Dict*>(input);
  if (name_ == "iterable" || name_ == "sequence") {
    return holds<Text>(input) || holds<const List*>(input) || holds<const Dict*>(input) ||
           holds<Undefined>(input) || (name_ == "iterable" && holds<const Loop*>(input));
  }
  if (name_ == "equalto" || name_ == "eq" || name_ == "ne") {
    const std::size_t size =
        std::min(size_of_value(input), size_of_value(arguments_.positional[0]));
    if (size > kMaxValueBytes) error(ErrorCode::kUnsupported, "values too large to compare");
    budget_.charge_bytes(size);
    return is_equal(input, arguments_.positional[0]) == (name_ != "ne");
  }
  if (name_ == "odd" || name_ == "even" || name_ == "divisibleby") {
    const std::int64_t divisor = name_ == "divisibleby" ? number_argument(0) : 2;
    const auto* number = std::get_if<std::int64_t>(&input);
    if (number == nullptr || divisor == 0) {
      error(ErrorCode::kInvalidArgument,
            fmt::format("{} expects whole numbers other than 0", quote(name_)));
    }
    // The remainder by -1 overflows for the smallest number.
    return (divisor == -1 || *number % divisor == 0) != (name_ == "odd");
  }
  unsupported("test");
}

Value Call::method(const Value& object) const {
  if (const auto* text = std::get_if<Text>(&object)) return text_method(**text);
  if (const auto* dict = std::get_if<const Dict*>(&object)) return dict_method(**dict);
  error(holds<Undefined>(object) ? ErrorCode::kInvalidArgument : ErrorCode::kUnsupported,
        fmt::format("{} has no method {}", kind_name(object), quote(name_)));
}

Value Call::text_method(const std::string& text) const {
  budget_.charge_bytes(text.size());
  if (name_ == "strip" || name_ == "lstrip" || name_ == "rstrip") {
    expect_arguments(0, 1);
    const bool has_characters = argument(0) != nullptr && !holds<None>(*argument(0));
    const std::string* characters = has_characters ? &text_argument(0) : nullptr;
    if (characters != nullptr) {
      budget_.charge_bytes(text.size() / 16 * characters->size());
    }
    const Side side = name_ == "strip"    ? Side::kBoth
                      : name_ == "lstrip" ? Side::kLeft
                                          : Side::kRight;
    return make_text(std::string(strip(text, characters, side)));
  }
  if (name_ == "upper" || name_ == "lower") {
    expect_arguments(0, 0);
    return make_text(change_case(text, name_ == "upper"));
  }
  if (name_ == "startswith" || name_ == "endswith") {
    expect_arguments(1, 1);
    const std::string& part = text_argument(0);
    return name_ == "startswith" ? text.starts_with(part) : text.ends_with(part);
  }
  if (name_ == "split") {
    expect_arguments(0, 2);
    return split(text);
  }
  if (name_ == "replace") {
    expect_arguments(2, 3);
    return replace(text);
  }
  if (name_ == "join") {
    expect_arguments(1, 1);
    for (const Value& item : iterate(arguments_.positional[0], budget_, line_)) {
      if (!holds<Text>(item)) {
        error(ErrorCode::kInvalidArgument,
              fmt::format("join expects strings, found {}", kind_name(item)));
      }
    }
    return join(text, arguments_.positional[0]);
  }
  unsupported("string method");
}

Value Call::split(const std::string& text) const {
  const std::int64_t most = argument(1) != nullptr ? number_argument(1) : -1;
  std::vector<Value> parts;
  if (argument(0) == nullptr || holds<None>(*argument(0))) {
    parts = split_at_space(text, most);
  } else {
    const std::string& separator = text_argument(0);
    if (separator.empty()) error(ErrorCode::kInvalidArgument, "split with an empty separator");
    budget_.charge_bytes(text.size() / 16 * separator.size());
    std::size_t start = 0;
    std::size_t found = text.find(separator);
    while (found != std::string::npos && static_cast<std::int64_t>(parts.size()) != most) {
      parts.push_back(text_value(text.substr(start, found - start)));
      start = found + separator.size();
      found = text.find(separator, start);
    }
    parts.push_back(text_value(text.substr(start)));
  }
  // A part costs a shared string besides its bytes.
  budget_.charge_bytes(parts.size() * 64);
  return make_list(std::move(parts));
}

Value Call::replace(const std::string& text) const {
  const std::string& from = text_argument(0);
  const std::string& to = text_argument(1);
  std::int64_t most = argument(2) != nullptr ? number_argument(2) : -1;
  if (from.empty()) error(ErrorCode::kUnsupported, "replacing an empty string is not supported");
  budget_.charge_bytes(text.size() / 16 * from.size());
  std::string result;
  std::size_t start = 0;
  for (std::size_t found = text.find(from); found != std::string::npos && most != 0;
       found = text.find(from, start), --most) {
    budget_.charge_bytes(to.size());
    result.append(text, start, found - start).append(to);
    start = found + from.size();
  }
  return make_text(result.append(text, start));
}

Value Call::dict_method(const Dict& dict) const {
  budget_.charge(dict.items.size() + 1);
  if (name_ == "get") {
    expect_arguments(1, 2);
    const Value* found = dict.find(text_argument(0));
    if (found != nullptr) return *found;
    return argument(1) != nullptr ? *argument(1) : Value(None{});
  }
  if (name_ != "items" && name_ != "keys" && name_ != "values") unsupported("dictionary method");
  expect_arguments(0, 0);
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    if (name_ == "keys") {
      items.push_back(text_value(key));
    } else if (name_ == "values") {
      items.push_back(value);
    } else {
      items.push_back(make_list({text_value(key), value}));
    }
  }
  return make_list(std::move(items));
}

namespace {

constexpr std::array<std::string_view, 4> kFunctions = {"namespace", "raise_exception", "range",
                                                        "strftime_now"};

}  // namespace

bool Call::is_function(std::string_view name) {
  return std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end();
}

Value Call::make_range() const {
  expect_arguments(1, 3);
  const std::size_t count = arguments_.positional.size();
  const std::int64_t begin = count == 1 ? 0 : number_argument(0);
  const std::int64_t end = number_argument(count == 1 ? 0 : 1);
  const std::int64_t step = count == 3 ? number_argument(2) : 1;
  if (step == 0) error(ErrorCode::kInvalidArgument, "range with step 0");
  std::vector<Value> items;
  for (std::int64_t value = begin; step > 0 ? value < end : value > end;) {
    budget_.charge_bytes(sizeof(Value));
    items.emplace_back(value);
    if (__builtin_add_overflow(value, step, &value)) break;
  }
  return make_list(std::move(items));
}

Value Call::function() const {
  if (name_ == "namespace") {
    if (!arguments_.positional.empty()) {
      error(ErrorCode::kUnsupported, "namespace with unnamed arguments is not supported");
    }
    budget_.charge(32 * (1 + arguments_.named.size()));
    Namespace* made = arena_.make_namespace();
    for (const auto& [name, value] : arguments_.named)
      made->attributes.insert_or_assign(name, value);
    return made;
  }
  if (name_ == "raise_exception") {
    expect_arguments(1, 1);
    error(ErrorCode::kInvalidArgument, to_text(arguments_.positional[0]));
  }
  if (name_ == "range") return make_range();
  if (name_ == "strftime_now") {
    error(ErrorCode::kUnsupported, "the current date (strftime_now) is not supported");
  }
  unsupported("function");
}

std::string printed(const Value& value, int line) {
  if (const auto* text = std::get_if<Text>(&value)) return **text;
  if (holds<Undefined>(value)) return {};
  if (holds<None>(value)) return "None";
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "True" : "False";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  fail(ErrorCode::kUnsupported, "chat template: line {}: printing {} is not supported", line,
       kind_name(value));
}

std::vector<Value> iterate(const Value& value, Budget& budget, int line) {
  std::vector<Value> items;
  if (const auto* list = std::get_if<const List*>(&value)) {
    items = (*list)->items;
  } else if (const auto* dict = std::get_if<const Dict*>(&value)) {
    for (const auto& item : (*dict)->items) items.push_back(text_value(item.first));
  } else if (const auto* text = std::get_if<Text>(&value)) {
    // A character costs a shared string.
    budget.charge_bytes((*text)->size() * 64);
    for (std::size_t offset = 0; offset < (*text)->size();) {
      const std::size_t size = utf8_length((**text)[offset]);
      items.push_back(text_value((*text)->substr(offset, size)));
      offset += size;
    }
  } else if (!holds<Undefined>(value)) {
    fail(ErrorCode::kInvalidArgument, "chat template: line {}: {} is not iterable", line,
         kind_name(value));
  }
  budget.charge_bytes(items.size() * sizeof(Value));
  return items;
}

std::int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

}  // namespace fdllm::jinja
