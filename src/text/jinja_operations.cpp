#include "text/jinja_operations.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/quote.h"
#include "text/utf8.h"

namespace fdllm::jinja {
namespace {

constexpr std::size_t kMaxComparedBytes = std::size_t{1} << 24;

Value loop_attribute(const Loop& loop, std::string_view name) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto length = static_cast<std::int64_t>(loop.items->items.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return length - index;
  if (name == "revindex0") return length - index - 1;
  if (name == "length") return length;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == length;
  if (name == "previtem" && index > 0) return loop.items->items[loop.index - 1];
  if (name == "nextitem" && index + 1 < length) return loop.items->items[loop.index + 1];
  return undefined_value("loop has no attribute " + quote(name));
}

std::string_view operator_name(ExprKind kind) {
  switch (kind) {
    case ExprKind::kSubtract:
    case ExprKind::kNegative:
      return "-";
    case ExprKind::kMultiply:
      return "*";
    case ExprKind::kFloorDivide:
      return "//";
    case ExprKind::kModulo:
      return "%";
    default:
      return "+";
  }
}

}  // namespace

void Operations::error(std::string_view what) const {
  fail(ErrorCode::kInvalidArgument, "chat template: line {}: {}", line_, what);
}

Value Operations::attribute(const Value& object, std::string_view name) const {
  if (const auto* missing = std::get_if<Undefined>(&object)) error(*missing->what);
  if (const auto* loop = std::get_if<const Loop*>(&object)) {
    return loop_attribute(**loop, name);
  }
  if (const auto* space = std::get_if<Namespace*>(&object)) {
    const auto found = (*space)->attributes.find(name);
    if (found != (*space)->attributes.end()) return found->second;
  } else if (const auto* dict = std::get_if<const Dict*>(&object)) {
    budget_.charge((*dict)->items.size());
    if (const Value* found = (*dict)->find(name)) return *found;
  }
  return undefined_value(fmt::format("{} has no attribute {}", kind_name(object), quote(name)));
}

Value Operations::item(const Value& object, const Value& key) const {
  if (const auto* missing = std::get_if<Undefined>(&object)) error(*missing->what);
  if (const auto* dict = std::get_if<const Dict*>(&object)) {
    if (const auto* name = std::get_if<Text>(&key)) {
      budget_.charge((*dict)->items.size());
      if (const Value* found = (*dict)->find(**name)) return *found;
      return undefined_value("a dictionary has no item " + quote(**name));
    }
  }
  const auto* number = std::get_if<std::int64_t>(&key);
  if (number != nullptr) {
    if (const auto* list = std::get_if<const List*>(&object)) {
      const auto size = static_cast<std::int64_t>((*list)->items.size());
      const std::int64_t index = *number < 0 ? *number + size : *number;
      if (index >= 0 && index < size) return (*list)->items[static_cast<std::size_t>(index)];
    } else if (const auto* text = std::get_if<Text>(&object)) {
      const std::vector<std::string_view> characters = characters_of(**text);
      const auto size = static_cast<std::int64_t>(characters.size());
      const std::int64_t index = *number < 0 ? *number + size : *number;
      if (index >= 0 && index < size) {
        return text_value(std::string(characters[static_cast<std::size_t>(index)]));
      }
    }
  }
  return undefined_value(fmt::format("{} has no such item", kind_name(object)));
}

std::vector<std::string_view> Operations::characters_of(std::string_view text) const {
  budget_.charge_bytes(text.size() * sizeof(std::string_view));
  std::vector<std::string_view> characters;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t size = utf8_length(text[offset]);
    characters.push_back(text.substr(offset, size));
    offset += size;
  }
  return characters;
}

std::optional<std::int64_t> Operations::slice_bound(const std::optional<Value>& value) const {
  if (!value || std::holds_alternative<None>(*value)) return std::nullopt;
  if (const auto* number = std::get_if<std::int64_t>(&*value)) return *number;
  error(fmt::format("a slice's bounds are whole numbers, found {}", kind_name(*value)));
}

std::vector<std::size_t> Operations::slice_indices(const SliceBounds& bounds,
                                                   std::int64_t size) const {
  const std::optional<std::int64_t> start = slice_bound(bounds[0]);
  const std::optional<std::int64_t> stop = slice_bound(bounds[1]);
  const std::int64_t step = slice_bound(bounds[2]).value_or(1);
  if (step == 0) error("a slice with step 0");
  const std::int64_t lowest = step > 0 ? 0 : -1;
  const std::int64_t highest = step > 0 ? size : size - 1;
  const auto bound = [&](std::optional<std::int64_t> given, std::int64_t absent) {
    if (!given) return absent;
    return std::clamp(*given < 0 ? *given + size : *given, lowest, highest);
  };
  const std::int64_t begin = bound(start, step > 0 ? 0 : size - 1);
  const std::int64_t end = bound(stop, step > 0 ? size : -1);
  std::vector<std::size_t> indices;
  for (std::int64_t index = begin; step > 0 ? index < end : index > end;) {
    indices.push_back(static_cast<std::size_t>(index));
    if (__builtin_add_overflow(index, step, &index)) break;
  }
  budget_.charge_bytes(64 + indices.size() * sizeof(Value));
  return indices;
}

Value Operations::slice(const Value& object, const SliceBounds& bounds) const {
  if (const auto* list = std::get_if<const List*>(&object)) {
    const auto& items = (*list)->items;
    std::vector<Value> taken;
    for (const std::size_t index : slice_indices(bounds, static_cast<std::int64_t>(items.size()))) {
      taken.push_back(items[index]);
    }
    return arena_.list(std::move(taken));
  }
  if (const auto* text = std::get_if<Text>(&object)) {
    const std::vector<std::string_view> characters = characters_of(**text);
    std::string taken;
    for (const std::size_t index :
         slice_indices(bounds, static_cast<std::int64_t>(characters.size()))) {
      taken += characters[index];
    }
    return text_value(std::move(taken));
  }
  if (const auto* missing = std::get_if<Undefined>(&object)) error(*missing->what);
  fail(ErrorCode::kUnsupported, "chat template: line {}: slicing {} is not supported", line_,
       kind_name(object));
}

Value Operations::arithmetic(ExprKind kind, const Value& left, const Value& right) const {
  const auto* left_text = std::get_if<Text>(&left);
  const auto* right_text = std::get_if<Text>(&right);
  if (kind == ExprKind::kAdd && left_text != nullptr && right_text != nullptr) {
    budget_.charge_bytes((*left_text)->size() + (*right_text)->size());
    return text_value(**left_text + **right_text);
  }
  if (kind == ExprKind::kModulo && left_text != nullptr) {
    fail(ErrorCode::kUnsupported,
         "chat template: line {}: formatting a string with '%' is not supported", line_);
  }
  if (const auto* missing = std::get_if<Undefined>(&left)) error(*missing->what);
  if (const auto* missing = std::get_if<Undefined>(&right)) error(*missing->what);
  const auto* left_list = std::get_if<const List*>(&left);
  const auto* right_list = std::get_if<const List*>(&right);
  if (kind == ExprKind::kAdd && left_list != nullptr && right_list != nullptr) {
    std::vector<Value> items = iterate(left, budget_, line_);
    const std::vector<Value> more = iterate(right, budget_, line_);
    items.insert(items.end(), more.begin(), more.end());
    return arena_.list(std::move(items));
  }
  const std::optional<std::int64_t> a = as_number(left);
  const std::optional<std::int64_t> b = as_number(right);
  if (!a || !b) {
    // Python repeats a string or list that is multiplied.
    const bool repeats = kind == ExprKind::kMultiply;
    fail(repeats ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument,
         "chat template: line {}: '{}' of {} and {} is not {}", line_, operator_name(kind),
         kind_name(left), kind_name(right), repeats ? "supported" : "possible");
  }
  return whole_number(kind, *a, *b);
}

std::int64_t Operations::whole_number(ExprKind kind, std::int64_t a, std::int64_t b) const {
  std::int64_t result = 0;
  bool overflow = false;
  switch (kind) {
    case ExprKind::kSubtract:
    case ExprKind::kNegative:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case ExprKind::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case ExprKind::kFloorDivide:
    case ExprKind::kModulo: {
      if (b == 0) error("division by zero");
      if (b == -1) {
        overflow = __builtin_sub_overflow(std::int64_t{0}, a, &result);
        if (kind == ExprKind::kModulo) return 0;
        break;
      }
      // Python rounds towards minus infinity.
      const bool rounds_down = a % b != 0 && (a % b < 0) != (b < 0);
      if (kind == ExprKind::kModulo) return a % b + (rounds_down ? b : 0);
      return a / b - (rounds_down ? 1 : 0);
    }
    default:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
  }
  if (overflow) error("a number too large");
  return result;
}

bool Operations::equal(const Value& left, const Value& right) const {
  const std::size_t size = std::min(size_of_value(left), size_of_value(right));
  if (size > kMaxComparedBytes) {
    fail(ErrorCode::kUnsupported, "chat template: line {}: values too large to compare", line_);
  }
  budget_.charge_bytes(size);
  return is_equal(left, right);
}

bool Operations::holds(Comparison comparison, const Value& left, const Value& right) const {
  switch (comparison) {
    case Comparison::kEqual:
      return equal(left, right);
    case Comparison::kUnequal:
      return !equal(left, right);
    case Comparison::kIn:
      return contains(right, left);
    case Comparison::kNotIn:
      return !contains(right, left);
    default:
      break;
  }
  int order = 0;
  const std::optional<std::int64_t> a = as_number(left);
  const std::optional<std::int64_t> b = as_number(right);
  const auto* left_text = std::get_if<Text>(&left);
  const auto* right_text = std::get_if<Text>(&right);
  if (a && b) {
    order = *a < *b ? -1 : *a > *b ? 1 : 0;
  } else if (left_text != nullptr && right_text != nullptr) {
    budget_.charge_bytes(std::min((*left_text)->size(), (*right_text)->size()));
    // Code point order, as Python's, is byte order in UTF-8.
    order = (*left_text)->compare(**right_text);
  } else if (std::holds_alternative<const List*>(left) && left.index() == right.index()) {
    fail(ErrorCode::kUnsupported, "chat template: line {}: ordering lists is not supported", line_);
  } else {
    error(fmt::format("{} and {} have no order", kind_name(left), kind_name(right)));
  }
  switch (comparison) {
    case Comparison::kLess:
      return order < 0;
    case Comparison::kLessEqual:
      return order <= 0;
    case Comparison::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

bool Operations::contains(const Value& container, const Value& sought) const {
  if (const auto* text = std::get_if<Text>(&container)) {
    const auto* part = std::get_if<Text>(&sought);
    if (part == nullptr) {
      error(fmt::format("'in' a string expects a string, found {}", kind_name(sought)));
    }
    budget_.charge_bytes((*text)->size() / 16 * (*part)->size() + (*text)->size());
    return (*text)->find(**part) != std::string::npos;
  }
  if (std::holds_alternative<const Dict*>(container) &&
      (std::holds_alternative<const List*>(sought) ||
       std::holds_alternative<const Dict*>(sought))) {
    error(fmt::format("{} can't be a key", kind_name(sought)));
  }
  const std::vector<Value> items = iterate(container, budget_, line_);
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& item) { return equal(sought, item); });
}

}  // namespace fdllm::jinja
