#pragma once
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "fastdllm/options.h"

namespace fdllm {

/// The decimal text of a whole number, which may be written as 32, 32.0 or 3.2e1; nullopt for
/// anything else.
std::optional<std::string> whole_number(const nlohmann::json& value);

/// What GenerateOption::set() takes for a JSON value of the option (for kTexts: one of them), or
/// nullopt where it is of another type.
std::optional<std::string> text_of_json(const GenerateOption& option, const nlohmann::json& value);
/// "an integer", "true or false": the type that it takes, in words.
std::string_view json_type(const GenerateOption& option);

/// The options by their fields; those that have no value are left out.
nlohmann::ordered_json options_json(const GenerateOptions& options);

}  // namespace fdllm
