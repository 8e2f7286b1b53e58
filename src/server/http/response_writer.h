#pragma once
#include <cstddef>
#include <string_view>

#include "server/http.h"
#include "server/http/connection.h"

namespace fdllm::server {

/// Writes one response to a connection.
class ResponseWriter {
 public:
  struct Request {
    bool is_head = false;     ///< the method: the body is not sent
    int minor_version = 1;    ///< of HTTP/1
    bool keeps_alive = true;  ///< whether the connection goes on afterwards
    int idle_seconds = 0;     ///< how long it then stays open, for the client to know
    std::string_view id;
  };

  ResponseWriter(Connection& connection, const Request& request)
      : connection_(connection), request_(request) {}

  /// Sends a response, or the head of one whose body is streamed (with its first piece). False: the
  /// client is gone, or a stream was broken off; the connection cannot go on.
  bool send(const HttpResponse& response);
  /// Whether anything was sent, so that it is too late for another response.
  bool has_begun() const { return has_begun_; }
  std::size_t body_bytes() const { return body_bytes_; }
  /// Whether the connection can take another request now.
  bool keeps_alive() const { return request_.keeps_alive; }

 private:
  bool send_whole(const HttpResponse& response);
  bool send_stream(const HttpResponse& response);
  bool send_piece(std::string_view head, std::string_view data);

  Connection& connection_;
  Request request_;
  bool has_begun_ = false;
  std::size_t body_bytes_ = 0;
};

}  // namespace fdllm::server
