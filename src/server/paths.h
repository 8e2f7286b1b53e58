#pragma once
#include <span>
#include <string>
#include <string_view>

#include "server/router.h"

namespace fdllm::server {

/// Whether a route is at this path.
bool is_at(const Route& route, std::string_view path);

/// The path of the route that a client most likely means: slashes that are doubled or at the end
/// count once, and "/v1" may be left out, doubled, or put before what has none. Where that finds
/// nothing, the path with its slashes folded.
std::string served_path(std::span<const Route> routes, std::string_view path);
/// A path of the table to name to who asked for one that isn't, or "".
std::string_view similar_path(std::span<const Route> routes, std::string_view path);

}  // namespace fdllm::server
