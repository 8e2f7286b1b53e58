#pragma once
#include <atomic>
#include <cstddef>

#include "server/http.h"
#include "server/http/connection.h"
#include "server/http/connection_table.h"
#include "server/http/request_parser.h"
#include "server/http/response_writer.h"

namespace fdllm::server {

/// What all connections of a server share.
struct SessionShared {
  HttpOptions options;
  HttpHandler handler;
  HttpServer::ErrorBody error_body;
  std::function<void(const HttpExchange&)> on_exchange;
  bool is_loopback = false;  ///< only this machine's programs reach the server
  ConnectionTable table = {};
  std::atomic<std::size_t> active{0};  ///< requests that are being answered
};

/// Serves the requests of one connection, one after the other, until it ends. Nothing that goes
/// wrong there leaves it.
void serve_connection(SessionShared& shared, Socket socket) noexcept;

}  // namespace fdllm::server
