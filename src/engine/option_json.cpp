#include "engine/option_json.h"

#include <cmath>
#include <cstdint>

namespace fdllm {
namespace {

// Beyond it, neighbouring doubles are no neighbouring whole numbers.
constexpr double kExactDouble = 9007199254740992.0;

}  // namespace

std::optional<std::string> whole_number(const nlohmann::json& value) {
  if (value.is_number_integer()) return value.dump();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  if (!(std::abs(number) <= kExactDouble) || number != std::trunc(number)) return std::nullopt;
  return std::to_string(static_cast<std::int64_t>(number));
}

std::optional<std::string> text_of_json(const GenerateOption& option, const nlohmann::json& value) {
  using Kind = GenerateOption::Kind;
  switch (option.kind) {
    case Kind::kInteger:
      return whole_number(value);
    case Kind::kNumber:
      return value.is_number() ? std::optional(value.dump()) : std::nullopt;
    case Kind::kFlag:
      return value.is_boolean() ? std::optional(value.dump()) : std::nullopt;
    case Kind::kText:
    case Kind::kTexts:
      break;
  }
  return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

std::string_view json_type(const GenerateOption& option) {
  switch (option.kind) {
    case GenerateOption::Kind::kInteger:
      return option.range ? "an integer" : "an integer from -2^63 to 2^64 - 1";
    case GenerateOption::Kind::kNumber:
      return "a number";
    case GenerateOption::Kind::kFlag:
      return "true or false";
    case GenerateOption::Kind::kText:
    case GenerateOption::Kind::kTexts:
      break;
  }
  return "a string";
}

nlohmann::ordered_json options_json(const GenerateOptions& options) {
  using Kind = GenerateOption::Kind;
  nlohmann::ordered_json json;
  for (const GenerateOption& option : generate_options()) {
    const std::optional<std::string> text = option.text(options);
    if (option.kind == Kind::kTexts) {
      json[option.field()] = options.stop;
    } else if (text && option.kind == Kind::kText) {
      json[option.field()] = *text;
    } else if (text && option.kind == Kind::kNumber) {
      json[option.field()] = std::stod(*text);
    } else if (text) {
      json[option.field()] = nlohmann::ordered_json::parse(*text);
    }
  }
  return json;
}

}  // namespace fdllm
