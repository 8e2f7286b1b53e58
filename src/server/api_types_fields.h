#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "server/api_types.h"

namespace fdllm::server {

using Json = nlohmann::json;

/// Endpoints that generate, as bits.
enum Endpoint : unsigned { kChat = 1, kCompletion = 2, kInfill = 4, kAnyEndpoint = 7 };

/// A field of a body that is no option of the engine.
struct Field {
  std::string_view name;
  unsigned endpoints;
  std::string_view schema;  ///< JSON Schema
  /// Checks and stores a value that isn't null. Throws ApiError.
  void (*read)(GenerationFields& fields, std::string_view name, const Json& value);
};

/// Those that several endpoints share, and those that are only there to be refused.
std::span<const Field> generation_fields();
/// "gen_length" for the option "gen-length".
std::string field_name(const GenerateOption& option);

/// Reads an option or a shared field; false where `endpoint` has none of that name.
bool read_generation_field(GenerationFields& fields, Endpoint endpoint, std::string_view name,
                           const Json& value);
/// What can only be said when all fields have been read.
void check_generation_fields(const GenerationFields& fields);

[[noreturn]] void bad_field(std::string_view field, std::string_view expected, const Json& found);
std::string read_text(std::string_view field, const Json& value);
bool read_flag(std::string_view field, const Json& value);
std::int32_t read_integer(std::string_view field, const Json& value, std::int32_t least,
                          std::int32_t greatest);

}  // namespace fdllm::server
