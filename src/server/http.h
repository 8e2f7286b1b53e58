#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fdllm::server {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// What a request has cost, for the access log.
struct RequestCost {
  std::int64_t prompt_tokens = 0, completion_tokens = 0, forwards = 0;
};

struct HttpRequest {
  std::string method, path;  ///< the path is decoded and has no query
  HttpHeaders headers;
  std::string body;
  std::string id;  ///< the client's X-Request-Id where that is a plain word, else a new one
  std::string remote_address;
  std::string host;          ///< name and port under which the server was asked
  bool is_loopback = false;  ///< the server listens for programs of its own machine only
  /// Whether the client is still there; asks the system, so not for inner loops.
  std::function<bool()> connected = [] { return true; };

  /// The first header of that name (in any case), or "".
  std::string_view header(std::string_view name) const;
};

/// Sends a piece of a streamed body; false: the client is gone or reads too slowly.
using BodyWriter = std::function<bool(std::string_view)>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
  /// Produces the body piece by piece instead; false: the connection is cut, so that the client
  /// sees that the body is not whole.
  std::function<bool(const BodyWriter&)> stream;
  std::shared_ptr<RequestCost> cost;  ///< filled in until the body has been sent
};

/// May be called from many threads at once.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

/// A request that has been answered, or whose client has gone.
struct HttpExchange {
  std::string id, method, path, remote_address;
  int status = 0;
  std::size_t request_bytes = 0, response_bytes = 0;  ///< bodies
  double seconds = 0;
  bool complete = false;  ///< the whole response was handed to the system
  std::shared_ptr<const RequestCost> cost;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  ///< 0: any free one
  std::size_t max_body_bytes = std::size_t{8} << 20;
  std::size_t max_connections = 256;  ///< each has a thread; beyond them idle ones are ended
  int read_seconds = 30;              ///< for a whole request
  int write_seconds = 30;             ///< that a client may leave a full pipe unread
  int idle_seconds = 75;              ///< between requests of a connection; proxies keep 60
};

/// The transport: sockets and HTTP/1.1, and nothing of what is served. What goes wrong with a
/// connection (no thread, no memory, a failed accept) is that connection's, not the process's.
class HttpServer {
 public:
  /// Bodies of the answers that the transport gives itself (400, 408, 413 to 416, 431, 503).
  using ErrorBody = std::function<std::string(int status)>;

  HttpServer(HttpOptions options, HttpHandler handler, ErrorBody error_body,
             std::function<void(const HttpExchange&)> on_exchange);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds and starts to answer on threads of its own. Returns the port. Throws kUnavailable where
  /// the address cannot be had, and kOutOfMemory where no thread can.
  int start();
  /// Accepts no more connections and returns when all have been answered.
  void stop();
  std::size_t active() const;  ///< requests that are being answered
  /// Why no connections are accepted any more; empty as long as they are, or where stop() was
  /// asked.
  std::string failure() const;

 private:
  class Transport;
  std::unique_ptr<Transport> transport_;
};

/// A fresh request id.
std::string new_request_id();

}  // namespace fdllm::server
