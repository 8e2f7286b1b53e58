#pragma once
#include <string>

#include "server/http.h"

namespace fdllm::server {

/// A line of the access log: one JSON object, without a line break. It holds nothing of bodies.
std::string access_line(const HttpExchange& exchange);

}  // namespace fdllm::server
