#pragma once
#include <string_view>

#include "server/http.h"
#include "server/server.h"

namespace fdllm::server {

/// Whether the request may be answered under the name that it was sent to. A web page may let a
/// name of its own point at this machine (DNS rebinding) and then read what a server says that only
/// listens to this machine; the name gives it away. So where the server is on a loopback address
/// and wants no API key, or where ServerOptions::allowed_hosts names hosts, only these are
/// answered: localhost (and names below it), 127.0.0.0/8, [::1], ServerOptions::host and
/// allowed_hosts; other addresses (but no names) where the server listens to the network.
bool is_host_allowed(const HttpRequest& request, const ServerOptions& options);

/// Whether that can be an entry of ServerOptions::allowed_hosts: a name or an address without port,
/// ".example.com" for all names below example.com too, "*" for any.
bool is_host_pattern(std::string_view text);

}  // namespace fdllm::server
