#include "server/http/head_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "server/http/protocol_words.h"

namespace fdllm::server {
namespace {

constexpr std::size_t kLongestTarget = 8192;

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// "", "5", "5-" and "-5" of a range of bytes.
bool is_range(std::string_view range) {
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return false;
  const std::string_view first = range.substr(0, dash);
  const std::string_view last = range.substr(dash + 1);
  if (first.empty()) return is_number(last);
  if (!is_number(first) || (!last.empty() && !is_number(last))) return false;
  if (last.empty()) return true;
  const auto digits = [](std::string_view text) {
    while (text.size() > 1 && text.front() == '0') text.remove_prefix(1);
    return text;
  };
  const std::string_view from = digits(first);
  const std::string_view to = digits(last);
  return from.size() != to.size() ? from.size() < to.size() : from <= to;
}

/// Ranges are never served, but nonsense is refused rather than answered with the whole.
bool has_bad_range(std::string_view value) {
  if (value.empty()) return false;
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos) return true;
  if (!equal_ignoring_case(trimmed(value.substr(0, equals)), "bytes")) return false;
  for (std::string_view rest = value.substr(equals + 1);;) {
    const std::size_t comma = rest.find(',');
    if (!is_range(trimmed(rest.substr(0, comma)))) return true;
    if (comma == std::string_view::npos) return false;
    rest.remove_prefix(comma + 1);
  }
}

bool has_bad_host(const ReceivedRequest& request) {
  const std::size_t hosts = request.count("Host");
  if (hosts > 1 || (hosts == 0 && request.minor_version > 0)) return true;
  return std::ranges::any_of(request.header("Host"), [](char c) {
    return c == ' ' || c == '\t' || c == '@' || c == '/' || c == ',' || c == '\\';
  });
}

/// 0, or why the body has not exactly one length that is small enough.
int length_refusal(const ReceivedRequest& request, std::size_t max_body_bytes) {
  const std::size_t lengths = request.count("Content-Length");
  const std::size_t codings = request.count("Transfer-Encoding");
  if (lengths + codings > 1) return 400;
  if (codings == 1) {
    // Before HTTP/1.1 nobody knew of it: a proxy in front may have passed it on unread.
    const bool is_chunked = equal_ignoring_case(request.header("Transfer-Encoding"), "chunked");
    return is_chunked && request.minor_version > 0 ? 0 : 400;
  }
  if (lengths == 0) return 0;
  const std::string_view text = request.header("Content-Length");
  if (!is_number(text)) return 400;
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  return error != std::errc{} || length > max_body_bytes ? 413 : 0;
}

bool has_body(const ReceivedRequest& request) {
  const std::string_view length = request.header("Content-Length");
  return request.is_chunked ||
         std::ranges::any_of(length, [](char c) { return c >= '1' && c <= '9'; });
}

}  // namespace

std::string_view ReceivedRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return "";
}

std::size_t ReceivedRequest::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      headers, [&](const auto& header) { return equal_ignoring_case(header.first, name); }));
}

bool is_known_method(std::string_view method) {
  constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                        "PATCH", "DELETE", "OPTIONS"};
  return std::ranges::find(kMethods, method) != kMethods.end();
}

int head_refusal(const ReceivedRequest& request, std::size_t max_body_bytes) {
  if (request.target.size() > kLongestTarget) return 414;
  if (const int refusal = length_refusal(request, max_body_bytes)) return refusal;
  const std::string_view coding = request.header("Content-Encoding");
  if (!coding.empty() && !equal_ignoring_case(coding, "identity")) return 415;
  if (has_bad_range(request.header("Range"))) return 416;
  const std::string_view method = request.method;
  const bool takes_body =
      method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
  if (is_known_method(method) && !takes_body && has_body(request)) return 400;
  return has_bad_host(request) ? 400 : 0;
}

bool has_huge_length(std::string_view raw_head) {
  std::size_t found = 0;
  while (!raw_head.empty()) {
    const std::size_t end = std::min(raw_head.find("\r\n"), raw_head.size());
    const std::string_view line = raw_head.substr(0, end);
    raw_head.remove_prefix(std::min(end + 2, raw_head.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    if (equal_ignoring_case(name, "Transfer-Encoding")) return false;
    if (!equal_ignoring_case(name, "Content-Length")) continue;
    if (++found > 1 || !is_number(trimmed(line.substr(colon + 1)))) return false;
  }
  return found == 1;
}

}  // namespace fdllm::server
