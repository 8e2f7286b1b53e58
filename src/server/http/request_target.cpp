#include "server/http/request_target.h"

#include <algorithm>

#include "server/http/protocol_words.h"

namespace fdllm::server {
namespace {

/// Escapes that are none stay as they are.
std::string decoded(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool has_digits = text[i] == '%' && i + 2 < text.size();
    const int high = has_digits ? hex_digit(text[i + 1]) : -1;
    const int low = has_digits ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      result += text[i];
      continue;
    }
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

/// What follows "http://" or "https://".
std::optional<std::string_view> without_scheme(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (equal_ignoring_case(target.substr(0, scheme.size()), scheme)) {
      return target.substr(scheme.size());
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<RequestTarget> parse_target(std::string_view target) {
  RequestTarget result;
  if (const auto rest = without_scheme(target)) {
    const std::size_t end = std::min(rest->find_first_of("/?#"), rest->size());
    result.authority = rest->substr(0, end);
    if (result.authority.empty()) return std::nullopt;
    target = rest->substr(end);
  } else if (target != "*" && !target.starts_with('/')) {
    return std::nullopt;
  }
  target = target.substr(0, target.find_first_of("?#"));
  result.path = target.empty() ? "/" : decoded(target);
  return result;
}

}  // namespace fdllm::server
