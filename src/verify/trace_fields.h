#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "verify/trace.h"

namespace fdllm {

/// Longer canvases than any model has positions; keeps every sum of two lengths in 32 bits.
inline constexpr std::int32_t kMaxLength = 1 << 24;

[[noreturn]] void bad_field(std::string_view where, std::string_view field,
                            std::string_view expected, const nlohmann::json* found);

/// The fields of one line; every accessor names the line and the field when it complains.
class TraceFields {
 public:
  TraceFields(const nlohmann::json& object, std::string_view where)
      : object_(object), where_(where) {}

  /// nullptr where the field is absent or null.
  const nlohmann::json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::int32_t integer(const nlohmann::json& value, const char* name, std::int32_t low,
                       std::int32_t high) const {
    if (value.is_number_integer()) {
      const bool fits =
          !value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{1} << 62;
      const auto number = fits ? value.get<std::int64_t>() : std::int64_t{-1};
      if (fits && number >= low && number <= high) return static_cast<std::int32_t>(number);
    }
    bad_field(where_, name, fmt::format("an integer from {} to {}", low, high), &value);
  }

  std::int32_t required_integer(const char* name, std::int32_t low, std::int32_t high) const {
    return integer(required(name, "an integer"), name, low, high);
  }

  std::optional<std::int32_t> optional_integer(const char* name, std::int32_t low,
                                               std::int32_t high) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return std::nullopt;
    return integer(*value, name, low, high);
  }

  std::optional<double> optional_number(const char* name) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number() || !std::isfinite(value->get<double>())) {
      bad_field(where_, name, "a finite number", value);
    }
    return value->get<double>();
  }

  bool flag(const char* name) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) bad_field(where_, name, "true or false", value);
    return value->get<bool>();
  }

  std::optional<std::string> optional_text(const char* name) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) bad_field(where_, name, "a string", value);
    return value->get<std::string>();
  }

  const nlohmann::json& required_list(const char* name) const {
    return list(required(name, "a list"), name);
  }

  const nlohmann::json& list(const nlohmann::json& value, const char* name) const {
    if (!value.is_array()) bad_field(where_, name, "a list", &value);
    return value;
  }

  /// A list of two integers.
  std::pair<std::int32_t, std::int32_t> pair(const nlohmann::json& value, const char* name) const {
    if (!value.is_array() || value.size() != 2) {
      bad_field(where_, name, "a list of two integers", &value);
    }
    const std::int32_t high = std::numeric_limits<std::int32_t>::max();
    return {integer(value[0], name, 0, high), integer(value[1], name, 0, high)};
  }

  std::vector<std::int32_t> token_ids(const char* name) const {
    const nlohmann::json& values = required_list(name);
    if (values.size() > static_cast<std::size_t>(kMaxLength)) {
      bad_field(where_, name, fmt::format("at most {} tokens", kMaxLength), &values);
    }
    std::vector<std::int32_t> ids;
    ids.reserve(values.size());
    for (const nlohmann::json& value : values) {
      ids.push_back(integer(value, name, 0, std::numeric_limits<std::int32_t>::max()));
    }
    return ids;
  }

  const nlohmann::json& required(const char* name, std::string_view expected) const {
    const nlohmann::json* value = find(name);
    if (value == nullptr) bad_field(where_, name, expected, nullptr);
    return *value;
  }

  std::string_view where() const { return where_; }

 private:
  const nlohmann::json& object_;
  std::string_view where_;
};

/// The folder's name in 'model'.
std::string model_name(const TraceFields& fields);

/// 'forwards' that commit positions of `answer` and feed any before `canvas_end`.
std::vector<TraceForward> read_forwards(const TraceFields& fields, Range answer,
                                        std::int32_t canvas_end);

}  // namespace fdllm
