#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/api_types.h"
#include "server/api_types_values.h"

namespace fdllm::server {

/// Endpoints with bodies, as bits: kEditor is llama.cpp's /infill. The first four generate.
enum Endpoint : unsigned {
  kChat = 1,
  kCompletion = 2,
  kInfill = 4,
  kEditor = 8,
  kAnyEndpoint = 15,
  kTokenize = 16,
};

/// A field of a body that is no option of the engine.
struct Field {
  std::string_view name;
  unsigned endpoints;
  std::string_view schema;  ///< JSON Schema
  /// Checks and stores a value that isn't null. Throws ApiError.
  void (*read)(GenerationFields& fields, std::string_view name, const Json& value);
};

/// Those that several endpoints share.
std::span<const Field> generation_fields();

/// Reads an option or a shared field; false where `endpoint` has none of that name.
bool read_generation_field(GenerationFields& fields, Endpoint endpoint, std::string_view name,
                           const Json& value);
/// What can only be said when all fields have been read.
void check_generation_fields(const GenerationFields& fields);

}  // namespace fdllm::server
