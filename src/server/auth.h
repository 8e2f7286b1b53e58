#pragma once
#include <string>
#include <string_view>

#include "server/http.h"

namespace fdllm::server {

/// Compares in a time that says nothing of where they differ.
bool equal_in_constant_time(std::string_view given, std::string_view secret);
/// Whether the request carries the key; an empty key lets everybody in.
bool may_ask(const HttpRequest& request, std::string_view key);
/// Adds the headers that let pages of `origin` ("*": any; empty: none) use the API.
void add_cors(const HttpRequest& request, const std::string& origin, const std::string& methods,
              HttpResponse& response);

}  // namespace fdllm::server
