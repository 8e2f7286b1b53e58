#pragma once
#include <span>
#include <string>
#include <string_view>

#include "server/api_types_fields.h"

namespace fdllm::server {

/// A field that other servers and clients know and that can't have an effect here: values that ask
/// for nothing pass, so that clients which always send it work; others are refused with a reason.
struct NeutralField {
  std::string_view name;
  unsigned endpoints;
  unsigned values;          ///< which pass, besides null: bits of NeutralValue
  std::string_view reason;  ///< why others don't
};

std::span<const NeutralField> neutral_fields();

/// Checks the field where there is one of that name; false where there is none.
bool read_neutral_field(Endpoint endpoint, std::string_view name, const Json& value);
/// JSON Schema of the values that pass.
Json neutral_schema(const NeutralField& field);

}  // namespace fdllm::server
