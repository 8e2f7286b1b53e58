#include "server/auth.h"

#include "server/http/protocol_words.h"

namespace fdllm::server {

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  // Always as many steps as `given` is long, which the client knows anyway.
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

bool may_ask(const HttpRequest& request, std::string_view key) {
  if (key.empty()) return true;
  const std::string_view value = trimmed(request.header("Authorization"));
  const std::size_t scheme_end = value.find_first_of(" \t");
  if (!equal_ignoring_case(value.substr(0, scheme_end), "Bearer")) return false;
  if (scheme_end == std::string_view::npos) return false;
  return equal_in_constant_time(trimmed(value.substr(scheme_end)), key);
}

void add_cors(const HttpRequest& request, const std::string& origin, const std::string& methods,
              HttpResponse& response) {
  if (origin.empty()) return;
  response.headers.emplace_back("Vary", "Origin");
  if (origin != "*" && request.header("Origin") != origin) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
  if (request.method != "OPTIONS") return;
  response.headers.emplace_back("Access-Control-Allow-Methods", methods);
  response.headers.emplace_back("Access-Control-Allow-Headers", "*, Authorization");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
}

}  // namespace fdllm::server
