#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "server/context.h"
#include "server/http.h"

namespace fdllm::server {

enum class Access : std::uint8_t { kOpen, kKey };

/// An endpoint: a file in routes/ and a line in routes().
struct Route {
  std::string_view method;
  std::string_view path;  ///< a last part "*" stands for any one
  Access access;          ///< kKey: only with the API key, where there is one
  /// Throws ApiError and fdllm::Error.
  HttpResponse (*handle)(Context& context, const HttpRequest& request);
};

std::span<const Route> routes();

/// Answers any request: finds the route, checks the key, turns errors into answers.
HttpResponse answer(Context& context, const HttpRequest& request);
/// The body of an answer that the transport gives itself.
std::string transport_error(int status);

}  // namespace fdllm::server
