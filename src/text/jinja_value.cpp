#include "text/jinja_value.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "base/check.h"
#include "text/utf8.h"

namespace fdllm::jinja {
namespace {

constexpr int kMaxValueDepth = 32;

int depth_of(const Value& value) {
  if (const auto* list = std::get_if<const List*>(&value)) return (*list)->depth;
  if (const auto* dict = std::get_if<const Dict*>(&value)) return (*dict)->depth;
  return 0;
}

int checked_depth(int deepest) {
  if (deepest >= kMaxValueDepth) {
    fail(ErrorCode::kUnsupported, "chat template: a value nested deeper than {} levels",
         kMaxValueDepth);
  }
  return deepest + 1;
}

void append_json_text(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

}  // namespace

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name == key) return &value;
  }
  return nullptr;
}

const List* Arena::list(std::vector<Value> items) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, depth_of(item));
  return &lists_.emplace_back(List{std::move(items), checked_depth(deepest)});
}

const Dict* Arena::dict(std::vector<std::pair<std::string, Value>> items) {
  int deepest = 0;
  for (const auto& item : items) deepest = std::max(deepest, depth_of(item.second));
  return &dicts_.emplace_back(Dict{std::move(items), checked_depth(deepest)});
}

Value undefined_value(std::string what) {
  return Undefined{std::make_shared<const std::string>(std::move(what))};
}

std::optional<std::int64_t> as_number(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
  return std::nullopt;
}

bool is_true(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number != 0;
  if (const auto* text = std::get_if<Text>(&value)) return !(*text)->empty();
  if (const auto* list = std::get_if<const List*>(&value)) return !(*list)->items.empty();
  if (const auto* dict = std::get_if<const Dict*>(&value)) return !(*dict)->items.empty();
  return std::holds_alternative<Namespace*>(value) || std::holds_alternative<const Loop*>(value);
}

bool is_equal(const Value& a, const Value& b) {
  if (const auto number = as_number(a)) return number == as_number(b);
  if (a.index() != b.index()) return false;
  if (const auto* text = std::get_if<Text>(&a)) return **text == *std::get<Text>(b);
  if (const auto* list = std::get_if<const List*>(&a)) {
    const auto& other = std::get<const List*>(b)->items;
    return std::equal((*list)->items.begin(), (*list)->items.end(), other.begin(), other.end(),
                      is_equal);
  }
  if (const auto* dict = std::get_if<const Dict*>(&a)) {
    const Dict* other = std::get<const Dict*>(b);
    return (*dict)->items.size() == other->items.size() &&
           std::all_of((*dict)->items.begin(), (*dict)->items.end(), [&](const auto& item) {
             const Value* found = other->find(item.first);
             return found != nullptr && is_equal(item.second, *found);
           });
  }
  if (const auto* space = std::get_if<Namespace*>(&a)) return *space == std::get<Namespace*>(b);
  if (const auto* loop = std::get_if<const Loop*>(&a)) return *loop == std::get<const Loop*>(b);
  return true;  // both undefined or both none
}

std::size_t size_of_value(const Value& value) {
  // Shared parts count as often as they are reached; the sum saturates so that a tower of lists
  // that hold one list twice cannot make the count itself slow.
  constexpr std::size_t kEnough = std::size_t{1} << 24;
  std::size_t total = sizeof(Value);
  if (const auto* text = std::get_if<Text>(&value)) {
    total += (*text)->size();
  } else if (const auto* list = std::get_if<const List*>(&value)) {
    for (const Value& item : (*list)->items) {
      total += size_of_value(item);
      if (total > kEnough) break;
    }
  } else if (const auto* dict = std::get_if<const Dict*>(&value)) {
    for (const auto& [key, item] : (*dict)->items) {
      total += key.size() * (*dict)->items.size() + size_of_value(item);
      if (total > kEnough) break;
    }
  }
  return total;
}

std::string_view kind_name(const Value& value) {
  constexpr std::string_view kNames[] = {"undefined",    "none",        "a boolean",
                                         "a number",     "a string",    "a list",
                                         "a dictionary", "a namespace", "a loop"};
  static_assert(std::size(kNames) == std::variant_size_v<Value>);
  return kNames[value.index()];
}

bool append_json(const Value& value, std::string& out) {
  if (std::holds_alternative<None>(value)) {
    out += "null";
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    out += *flag ? "true" : "false";
  } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
    out += std::to_string(*number);
  } else if (const auto* text = std::get_if<Text>(&value)) {
    append_json_text(**text, out);
  } else if (const auto* list = std::get_if<const List*>(&value)) {
    std::string_view separator = "[";
    for (const Value& item : (*list)->items) {
      out += separator;
      if (!append_json(item, out)) return false;
      separator = ", ";
    }
    out += (*list)->items.empty() ? "[]" : "]";
  } else if (const auto* dict = std::get_if<const Dict*>(&value)) {
    std::string_view separator = "{";
    for (const auto& [key, item] : (*dict)->items) {
      out += separator;
      append_json_text(key, out);
      out += ": ";
      if (!append_json(item, out)) return false;
      separator = ", ";
    }
    out += (*dict)->items.empty() ? "{}" : "}";
  } else {
    return false;
  }
  return true;
}

bool is_python_space(char32_t value) {
  return is_white_space(value) || (value >= 0x1C && value <= 0x1F);
}

}  // namespace fdllm::jinja
