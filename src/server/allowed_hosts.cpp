#include "server/allowed_hosts.h"

#include <algorithm>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "server/http/protocol_words.h"

namespace fdllm::server {
namespace {

/// Without port, brackets and the dot that ends a full name.
std::string_view name_of(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, std::min(host.find(']'), host.size()) - 1);
  host = host.substr(0, host.find(':'));
  if (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
  return host;
}

bool ends_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() > end.size() &&
         equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

bool is_address(std::string_view name) {
  const std::string text(name);
  in6_addr address = {};
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_loopback_name(std::string_view name) {
  if (equal_ignoring_case(name, "localhost") || ends_ignoring_case(name, ".localhost")) return true;
  const std::string text(name);
  in6_addr long_address = {};
  if (inet_pton(AF_INET6, text.c_str(), &long_address) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&long_address);
  }
  return name.starts_with("127.") && is_address(name);
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern == "*") return true;
  if (is_address(pattern)) return pattern == name;
  if (!pattern.starts_with('.')) return equal_ignoring_case(name_of(pattern), name);
  return ends_ignoring_case(name, pattern) || equal_ignoring_case(name, pattern.substr(1));
}

}  // namespace

bool is_host_allowed(const HttpRequest& request, const ServerOptions& options) {
  const bool is_checked =
      !options.allowed_hosts.empty() || (request.is_loopback && options.api_key.empty());
  // Only HTTP/1.0 leaves the host out, which no browser speaks.
  if (!is_checked || request.host.empty()) return true;
  const std::string_view name = name_of(request.host);
  if (is_loopback_name(name) || equal_ignoring_case(name, options.host)) return true;
  if (!request.is_loopback && is_address(name)) return true;
  return std::ranges::any_of(options.allowed_hosts,
                             [&](const std::string& pattern) { return matches(pattern, name); });
}

bool is_host_pattern(std::string_view text) {
  if (text == "*" || is_address(text) || is_address(name_of(text))) return true;
  if (text.starts_with('.')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace fdllm::server
