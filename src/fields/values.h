#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

namespace fdllm::fields {

using Json = nlohmann::json;

/// What a client or a line of a file gave in a field and can't have: kInvalidArgument, with a
/// message that begins with the field's name in quotes.
class FieldError : public Error {
 public:
  enum class Fault : std::uint8_t {
    kWrong,        ///< not what the field takes
    kUnsupported,  ///< well-formed, but nothing that can be done
  };
  FieldError(Fault fault, std::string_view field, const std::string& reason);

  Fault fault() const noexcept { return fault_; }
  const std::string& field() const noexcept { return field_; }

 private:
  Fault fault_;
  std::string field_;
};

/// "'field': expected what, found this".
[[noreturn]] void bad_field(std::string_view field, std::string_view expected, const Json& found);

/// A text from outside for a message: cut after 60 bytes, at a character.
std::string shown(std::string_view text);

/// Each throws FieldError for another type.
std::string read_text(std::string_view field, const Json& value);
bool read_flag(std::string_view field, const Json& value);
/// Whole numbers may be written as 32, 32.0 or 3.2e1.
std::int32_t read_integer(std::string_view field, const Json& value, std::int32_t least,
                          std::int32_t greatest);

/// A list of at most `most`. Throws FieldError for more before it looks at them.
const Json& read_list(std::string_view field, std::string_view expected, const Json& value,
                      std::size_t most);
std::vector<std::int32_t> read_token_ids(std::string_view field, const Json& value);

}  // namespace fdllm::fields
