#include "server/http/response_writer.h"

#include <iterator>
#include <string>
#include <utility>

#include <boost/beast/http/status.hpp>
#include <fmt/format.h>

namespace fdllm::server {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

bool has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string head_of(const HttpResponse& response, const ResponseWriter::Request& request,
                    std::string_view framing) {
  const auto reason = boost::beast::http::obsolete_reason(
      boost::beast::http::int_to_status(static_cast<unsigned>(response.status)));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status,
                                 std::string_view(reason.data(), reason.size()));
  const auto end = std::back_inserter(head);
  if (has_body(response.status)) fmt::format_to(end, "Content-Type: {}\r\n", response.content_type);
  head += framing;
  for (const auto& [name, value] : response.headers) fmt::format_to(end, "{}: {}\r\n", name, value);
  fmt::format_to(end, "X-Request-Id: {}\r\n", request.id);
  if (request.keeps_alive) {
    fmt::format_to(end, "Connection: keep-alive\r\nKeep-Alive: timeout={}\r\n",
                   request.idle_seconds);
  } else {
    head += "Connection: close\r\n";
  }
  head += kLineEnd;
  return head;
}

}  // namespace

bool ResponseWriter::send(const HttpResponse& response) {
  return response.stream ? send_stream(response) : send_whole(response);
}

bool ResponseWriter::send_whole(const HttpResponse& response) {
  const std::string framing =
      has_body(response.status) ? fmt::format("Content-Length: {}\r\n", response.body.size()) : "";
  const std::string head = head_of(response, request_, framing);
  const bool sends_body = has_body(response.status) && !request_.is_head;
  if (sends_body) body_bytes_ = response.body.size();
  has_begun_ = true;
  return connection_.write({head, sends_body ? std::string_view(response.body) : ""});
}

bool ResponseWriter::send_stream(const HttpResponse& response) {
  const bool is_chunked = request_.minor_version > 0;
  if (!is_chunked) request_.keeps_alive = false;
  std::string head =
      head_of(response, request_, is_chunked ? "Transfer-Encoding: chunked\r\n" : "");
  if (request_.is_head) {
    has_begun_ = true;
    return connection_.write({head});
  }
  // The head goes out with the first piece; an empty piece sends it at once.
  const bool whole = response.stream([&](std::string_view data) {
    const std::string begin = std::exchange(head, {});
    return send_piece(begin, data);
  });
  if (!whole || (!head.empty() && !send_piece(head, ""))) return false;
  return !is_chunked || connection_.write({kLastChunk});
}

bool ResponseWriter::send_piece(std::string_view head, std::string_view data) {
  has_begun_ = true;
  body_bytes_ += data.size();
  if (data.empty()) return connection_.write({head});
  if (request_.minor_version == 0) return connection_.write({head, data});
  const std::string size = fmt::format("{:x}\r\n", data.size());
  return connection_.write({head, size, data, kLineEnd});
}

}  // namespace fdllm::server
