#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "server/api_error.h"

namespace fdllm::server {

using Json = nlohmann::json;

/// "'field': expected what, found this". Throws ApiError (400).
[[noreturn]] void bad_field(std::string_view field, std::string_view expected, const Json& found);
[[noreturn]] void unknown_field(std::string_view field);

/// A client's text for a message: cut after 60 bytes, at a character.
std::string shown(std::string_view text);

/// Each throws ApiError for another type.
std::string read_text(std::string_view field, const Json& value);
bool read_flag(std::string_view field, const Json& value);
/// Whole numbers may be written as 32, 32.0 or 3.2e1.
std::int32_t read_integer(std::string_view field, const Json& value, std::int32_t least,
                          std::int32_t greatest);

/// A list of at most `most`. Throws ApiError for more before it looks at them.
const Json& read_list(std::string_view field, std::string_view expected, const Json& value,
                      std::size_t most);

}  // namespace fdllm::server
