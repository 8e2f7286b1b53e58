#include "fields/values.h"

#include <charconv>
#include <system_error>

#include <fmt/format.h>

#include "base/utf8.h"
#include "engine/option_json.h"

namespace fdllm::fields {
namespace {

constexpr std::size_t kShownBytes = 60;

/// What was found: numbers and short texts as they are, of others what they are.
std::string description(const Json& value) {
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (value.is_object()) return fmt::format("an object of {}", value.size());
  if (!value.is_string()) return value.dump();
  return Json(shown(value.get_ref<const std::string&>()))
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

FieldError::FieldError(Fault fault, std::string_view field, const std::string& reason)
    : Error(ErrorCode::kInvalidArgument, fmt::format("'{}': {}", field, reason)),
      fault_(fault),
      field_(field) {}

void bad_field(std::string_view field, std::string_view expected, const Json& found) {
  throw FieldError(FieldError::Fault::kWrong, field,
                   fmt::format("expected {}, found {}", expected, description(found)));
}

std::string shown(std::string_view text) {
  if (text.size() <= kShownBytes) return std::string(text);
  return std::string(text.substr(0, utf8_start(text, kShownBytes))) + "...";
}

std::string read_text(std::string_view field, const Json& value) {
  if (!value.is_string()) bad_field(field, "a string", value);
  return value.get<std::string>();
}

bool read_flag(std::string_view field, const Json& value) {
  if (!value.is_boolean()) bad_field(field, "true or false", value);
  return value.get<bool>();
}

std::int32_t read_integer(std::string_view field, const Json& value, std::int32_t least,
                          std::int32_t greatest) {
  std::int32_t number = 0;
  const std::string digits = whole_number(value).value_or("");
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc{} || number < least || number > greatest) {
    bad_field(field, fmt::format("an integer from {} to {}", least, greatest), value);
  }
  return number;
}

const Json& read_list(std::string_view field, std::string_view expected, const Json& value,
                      std::size_t most) {
  if (!value.is_array()) bad_field(field, expected, value);
  if (value.size() > most) bad_field(field, fmt::format("at most {} entries", most), value);
  return value;
}

std::vector<std::int32_t> read_token_ids(std::string_view field, const Json& value) {
  if (!value.is_array()) bad_field(field, "a list of token ids", value);
  std::vector<std::int32_t> ids;
  ids.reserve(value.size());
  for (const Json& id : value) {
    ids.push_back(read_integer(field, id, 0, std::numeric_limits<std::int32_t>::max()));
  }
  return ids;
}

}  // namespace fdllm::fields
