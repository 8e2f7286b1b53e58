#include "text/jinja/runtime.h"

#include <algorithm>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja {
namespace {

/// Values larger than this are not compared.
constexpr std::size_t kMaxComparedBytes = std::size_t{1} << 24;

}  // namespace

void Budget::charge(std::size_t units) {
  if (units > units_) {
    fail(ErrorCode::kUnsupported, "rendering takes too much work; is this a template for chats?");
  }
  units_ -= units;
}

void Budget::charge_bytes(std::size_t bytes, std::size_t times) {
  std::size_t total = 0;
  charge_bytes(__builtin_mul_overflow(bytes, times, &total) ? SIZE_MAX : total);
}

void Runtime::error(std::string_view what) const {
  fail(ErrorCode::kInvalidArgument, "line {}: {}", line_, what);
}

void Runtime::unsupported(std::string_view what) const {
  fail(ErrorCode::kUnsupported, "line {}: {} is not supported", line_, what);
}

void Runtime::require_defined(const Value& value) const {
  if (const auto* missing = std::get_if<Undefined>(&value)) error(*missing->what);
}

Value Runtime::text(std::string text) {
  budget_.charge_bytes(text.size() + 32);
  return text_value(std::move(text));
}

Value Runtime::list(std::vector<Value> items, ListKind kind) {
  budget_.charge_bytes(64 + items.size() * sizeof(Value));
  return arena_.list(std::move(items), kind);
}

Value Runtime::iterator(std::function<std::vector<Value>()> make) {
  budget_.charge(16);
  return arena_.iterator(std::move(make));
}

Value Runtime::dict(std::vector<std::pair<Value, Value>> items) {
  std::vector<std::pair<Value, Value>> kept;
  for (auto& [key, value] : items) {
    if (!is_hashable(key)) error(fmt::format("{} can't be a key", kind_name(key)));
    budget_.charge_bytes(64);
    const auto same = std::find_if(kept.begin(), kept.end(), [&, &wanted = key](const auto& entry) {
      return equal(entry.first, wanted);
    });
    if (same != kept.end()) {
      same->second = std::move(value);
    } else {
      kept.emplace_back(std::move(key), std::move(value));
    }
  }
  return arena_.dict(std::move(kept));
}

std::vector<Value> Runtime::iterate(const Value& value) {
  std::vector<Value> items;
  if (const auto* list = std::get_if<const List*>(&value)) {
    budget_.charge_bytes((*list)->items.size() * sizeof(Value));
    return (*list)->items;
  }
  if (const auto* dict = std::get_if<const Dict*>(&value)) {
    budget_.charge_bytes((*dict)->items.size() * sizeof(Value));
    for (const auto& item : (*dict)->items) items.push_back(item.first);
  } else if (const auto* text = std::get_if<Text>(&value)) {
    // A character costs a shared string.
    budget_.charge_bytes((*text)->size() * 64);
    for (const std::string_view character : characters_of(**text)) {
      items.push_back(text_value(std::string(character)));
    }
  } else if (auto* const* iterator = std::get_if<Iterator*>(&value)) {
    const std::vector<Value>& all = (*iterator)->items();
    const std::size_t next = std::exchange((*iterator)->next, all.size());
    budget_.charge_bytes((all.size() - next) * sizeof(Value));
    items.assign(all.begin() + static_cast<std::ptrdiff_t>(next), all.end());
  } else if (!holds<Undefined>(value)) {
    error(fmt::format("{} is not iterable", kind_name(value)));
  }
  return items;
}

bool Runtime::equal(const Value& a, const Value& b) {
  const std::size_t size = std::min(size_of_value(a), size_of_value(b));
  if (size > kMaxComparedBytes) unsupported("comparing values so large");
  budget_.charge_bytes(size);
  return is_equal(a, b);
}

Bound::Bound(Runtime& runtime, std::string_view callee, const Arguments& arguments,
             std::initializer_list<std::string_view> names, std::size_t required)
    : runtime_(runtime), callee_(callee), names_(names), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names.size()) {
    runtime.error(fmt::format("{} takes at most {} arguments, found {}", quote(callee),
                              names.size(), arguments.positional.size()));
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) {
      runtime.error(fmt::format("{} takes no argument {}", quote(callee), quote(name)));
    }
    const auto index = static_cast<std::size_t>(found - names_.begin());
    if (values_[index] != nullptr) {
      runtime.error(fmt::format("{} is given {} twice", quote(callee), quote(name)));
    }
    values_[index] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) {
      runtime.error(fmt::format("{} needs the argument '{}'", quote(callee), names_[i]));
    }
  }
}

Value Bound::value(std::size_t index, Value fallback) const {
  return has(index) ? *values_[index] : std::move(fallback);
}

std::int64_t Bound::integer(std::size_t index, std::int64_t fallback) const {
  if (!has(index)) return fallback;
  if (const auto number = as_integer(at(index))) return *number;
  runtime_.require_defined(at(index));
  runtime_.error(fmt::format("{} expects a whole number as '{}', found {}", quote(callee_),
                             names_[index], kind_name(at(index))));
}

bool Bound::flag(std::size_t index, bool fallback) const {
  return has(index) ? is_true(at(index)) : fallback;
}

const std::string& Bound::text(std::size_t index) const {
  if (const auto* text = std::get_if<Text>(&at(index))) return **text;
  runtime_.error(fmt::format("{} expects a string as '{}', found {}", quote(callee_), names_[index],
                             kind_name(at(index))));
}

std::string Bound::text(std::size_t index, std::string_view fallback) const {
  return has(index) ? text(index) : std::string(fallback);
}

}  // namespace fdllm::jinja
