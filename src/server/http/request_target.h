#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace fdllm::server {

struct RequestTarget {
  std::string path;       ///< decoded once, without its query; "*" of "OPTIONS *"
  std::string authority;  ///< host and port of a target that is a whole URL, else empty
};

/// What a request asks for: "/path?query", a whole http URL, or "*". None for anything else.
std::optional<RequestTarget> parse_target(std::string_view target);

}  // namespace fdllm::server
