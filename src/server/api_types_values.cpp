#include "server/api_types_values.h"

#include <cmath>
#include <limits>

#include "base/check.h"

namespace fdllm::server {
namespace {

constexpr std::size_t kShownBytes = 60;
// Beyond it, neighbouring doubles are no neighbouring whole numbers.
constexpr double kExactDouble = 9007199254740992.0;

/// What was found: numbers and short texts as they are, of others what they are.
std::string description(const Json& value) {
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (value.is_object()) return fmt::format("an object of {}", value.size());
  if (!value.is_string()) return value.dump();
  return Json(shown(value.get_ref<const std::string&>()))
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// A double that is a whole number, as one.
std::optional<std::int64_t> whole_double(double value) {
  if (!(std::abs(value) <= kExactDouble) || value != std::trunc(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

void bad_field(std::string_view field, std::string_view expected, const Json& found) {
  throw ApiError(400,
                 fmt::format("'{}': expected {}, found {}", field, expected, description(found)),
                 std::string(field), "invalid_type");
}

void unknown_field(std::string_view field) {
  throw ApiError(
      400, fmt::format("'{}': unknown field; /openapi.json lists those that are known", field),
      std::string(field), "unknown_parameter");
}

std::string shown(std::string_view text) {
  if (text.size() <= kShownBytes) return std::string(text);
  std::size_t size = kShownBytes;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  return std::string(text.substr(0, size)) + "...";
}

std::string read_text(std::string_view field, const Json& value) {
  if (!value.is_string()) bad_field(field, "a string", value);
  return value.get<std::string>();
}

bool read_flag(std::string_view field, const Json& value) {
  if (!value.is_boolean()) bad_field(field, "true or false", value);
  return value.get<bool>();
}

std::optional<std::string> whole_number(const Json& value) {
  if (value.is_number_integer()) return value.dump();
  if (!value.is_number_float()) return std::nullopt;
  const auto whole = whole_double(value.get<double>());
  return whole ? std::optional(std::to_string(*whole)) : std::nullopt;
}

std::int32_t read_integer(std::string_view field, const Json& value, std::int32_t least,
                          std::int32_t greatest) {
  std::optional<std::int64_t> number;
  if (value.is_number_unsigned()) {
    const auto unsigned_value = value.get<std::uint64_t>();
    if (unsigned_value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      number = static_cast<std::int64_t>(unsigned_value);
    }
  } else if (value.is_number_integer()) {
    number = value.get<std::int64_t>();
  } else if (value.is_number_float()) {
    number = whole_double(value.get<double>());
  }
  if (!number || *number < least || *number > greatest) {
    bad_field(field, fmt::format("an integer from {} to {}", least, greatest), value);
  }
  return static_cast<std::int32_t>(*number);
}

std::uint64_t read_integer64(std::string_view field, const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number_integer()) return static_cast<std::uint64_t>(value.get<std::int64_t>());
  if (value.is_number_float()) {
    if (const auto whole = whole_double(value.get<double>())) {
      return static_cast<std::uint64_t>(*whole);
    }
  }
  bad_field(field, "an integer from -2^63 to 2^64 - 1", value);
}

const Json& read_list(std::string_view field, std::string_view expected, const Json& value,
                      std::size_t most) {
  if (!value.is_array()) bad_field(field, expected, value);
  if (value.size() > most) bad_field(field, fmt::format("at most {} entries", most), value);
  return value;
}

}  // namespace fdllm::server
