#pragma once
#include <string_view>

#include "server/api_types_fields.h"
#include "server/api_types_neutral.h"

namespace fdllm::server {

/// What `read` returns; what it finds wrong with a field is thrown as ApiError.
template <typename Read>
auto with_api_errors(const Read& read) {
  try {
    return read();
  } catch (const fields::FieldError& error) {
    throw to_api_error(error);
  }
}

/// The body as a JSON object. Throws ApiError or FieldError for anything else.
Json parse_object(std::string_view body);

template <typename Request, typename Own>
Request read_generation(std::string_view body, Endpoint endpoint, const Own& own) {
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

/// Reads every field of a body that generates; `own` reads those of its endpoint alone and says
/// whether it knows a name. Throws ApiError.
template <typename Request, typename Own>
Request parse_generation(std::string_view body, Endpoint endpoint, const Own& own) {
  return with_api_errors([&] { return read_generation<Request>(body, endpoint, own); });
}

}  // namespace fdllm::server
