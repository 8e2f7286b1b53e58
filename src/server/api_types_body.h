#pragma once
#include <string_view>

#include "server/api_types_fields.h"
#include "server/api_types_neutral.h"

namespace fdllm::server {

/// The body as a JSON object. Throws ApiError (400) for anything else.
Json parse_object(std::string_view body);

/// Reads every field of a body that generates; `own` reads those of its endpoint alone and says
/// whether it knows a name.
template <typename Request, typename Own>
Request parse_generation(std::string_view body, Endpoint endpoint, const Own& own) {
  Request request;
  const Json object = parse_object(body);
  for (const auto& [name, value] : object.items()) {
    if (own(request, name, value)) continue;
    if (read_generation_field(request, endpoint, name, value)) continue;
    if (!read_neutral_field(endpoint, name, value)) unknown_field(shown(name));
  }
  check_generation_fields(request);
  return request;
}

}  // namespace fdllm::server
