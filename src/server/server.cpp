#include "server/server.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include "fastdllm/service.h"

#include "base/log.h"
#include "server/access_log.h"
#include "server/context.h"
#include "server/http.h"
#include "server/metrics.h"
#include "server/router.h"

namespace fdllm::server {
namespace {

constexpr auto kDrainPoll = std::chrono::milliseconds(10);

/// The checkpoint's folder or file without the folders above it and without an extension.
std::string name_of(const std::string& path) {
  std::filesystem::path name = std::filesystem::path(path).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();
  const std::string stem =
      name.extension() == ".gguf" ? name.stem().string() : name.filename().string();
  return stem.empty() || stem == "." || stem == ".." ? "model" : stem;
}

HttpOptions http_options(const ServerOptions& options) {
  HttpOptions http;
  http.host = options.host;
  http.port = options.port;
  http.max_body_bytes = options.max_body_bytes;
  http.max_connections = options.max_connections;
  return http;
}

std::int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

struct Server::Impl {
  Impl(Engine& engine, ServerOptions given)
      : options(std::move(given)),
        service(engine, {.max_waiting = options.max_waiting},
                [this](const ForwardInfo& info) { metrics.forward(info); }),
        context{
            .engine = engine,
            .service = service,
            .metrics = metrics,
            .options = options,
            .model = options.model_name.empty() ? name_of(engine.info().path) : options.model_name,
            .created = unix_seconds()},
        http(
            http_options(options),
            [this](const HttpRequest& request) { return answer(context, request); },
            transport_error, [this](const HttpExchange& exchange) { record(exchange); }) {}

  void record(const HttpExchange& exchange) {
    metrics.http(exchange.status, exchange.seconds);
    log_message(LogKind::kRequest, access_line(exchange));
  }

  ServerOptions options;
  // In the order of their use: each is used by those below until they are gone.
  Metrics metrics;
  Service service;
  Context context;
  HttpServer http;
};

Server::Server(Engine& engine, ServerOptions options)
    : impl_(std::make_unique<Impl>(engine, std::move(options))) {}

Server::~Server() {
  abort();
  impl_->http.stop();
}

int Server::start() {
  return impl_->http.start();
}

std::string Server::failure() const {
  return impl_->http.failure();
}

void Server::refuse_new() {
  impl_->context.draining = true;
}

void Server::drain() {
  refuse_new();
  impl_->service.drain();
  // What has been generated is still to be sent; new requests get 503 meanwhile.
  while (impl_->http.active() > 0) std::this_thread::sleep_for(kDrainPoll);
  impl_->http.stop();
}

void Server::abort() {
  impl_->context.aborting = true;
}

}  // namespace fdllm::server
