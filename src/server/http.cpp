#include "server/http.h"

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "server/http/connection_threads.h"
#include "server/http/goodbye.h"
#include "server/http/listener.h"
#include "server/http/protocol_words.h"
#include "server/http/session.h"

namespace fdllm::server {

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return "";
}

namespace {

// Together longer than the time for which a request that has begun to come is spared.
constexpr int kPauses = 20;
constexpr auto kPause = std::chrono::milliseconds(5);

std::uint64_t seed() {
  try {
    std::random_device device;
    return (std::uint64_t{device()} << 32) ^ device();
  } catch (const std::exception&) {
    // The system's source may want a descriptor when there is none; ids only have to differ.
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    return static_cast<std::uint64_t>(now) ^
           std::hash<std::thread::id>{}(std::this_thread::get_id());
  }
}

}  // namespace

std::string new_request_id() {
  thread_local std::mt19937_64 engine{seed()};
  return fmt::format("{:016x}{:016x}", engine(), engine());
}

class HttpServer::Transport {
 public:
  Transport(HttpOptions options, HttpHandler handler, ErrorBody error_body,
            std::function<void(const HttpExchange&)> on_exchange)
      : shared_{.options = std::move(options),
                .handler = std::move(handler),
                .error_body = std::move(error_body),
                .on_exchange = std::move(on_exchange)} {}
  ~Transport() { stop(); }
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  int start() {
    listener_ = std::make_unique<Listener>(shared_.options.host, shared_.options.port);
    shared_.is_loopback = listener_->is_loopback();
    const std::string body = shared_.error_body(503);
    busy_response_ = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.size(), body);
    threads_ = std::make_unique<ConnectionThreads>(
        shared_.options.max_connections,
        [this](Socket socket) { serve_connection(shared_, std::move(socket)); });
    const int port = listener_->port();
    try {
      acceptor_ = std::thread([this] { accept_connections(); });
    } catch (const std::system_error& error) {
      fail(ErrorCode::kOutOfMemory, "no thread to listen on: {}", error.what());
    }
    return port;
  }

  void stop() {
    if (listener_) listener_->stop();
    if (acceptor_.joinable()) acceptor_.join();
    shared_.table.end_all();
    if (threads_) threads_->stop();
  }

  std::size_t active() const { return shared_.active; }
  std::string failure() const { return listener_ ? listener_->failure() : ""; }

 private:
  void accept_connections() {
    listener_->run(
        {.take = [this](Socket socket) { take(std::move(socket)); },
         .make_room = [this] { shared_.table.end_one(); },
         .milliseconds = [this] { return static_cast<int>(goodbyes_.close_due().count()); }});
  }

  void take(Socket socket) {
    if (threads_->serve(socket)) return;
    // All threads are taken, or the system gives no more: who keeps one for nothing loses it.
    using Room = ConnectionTable::Room;
    Room room = shared_.table.end_one();
    for (int i = 0; room == Room::kSoon && i < kPauses; ++i) {
      std::this_thread::sleep_for(kPause);
      if (threads_->serve(socket)) return;
      room = shared_.table.end_one();
    }
    if (room == Room::kMade) return threads_->serve_later(std::move(socket));
    goodbyes_.say(std::move(socket), busy_response_);
  }

  SessionShared shared_;
  std::string busy_response_;
  Goodbyes goodbyes_;  ///< of the acceptor
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<ConnectionThreads> threads_;
  std::thread acceptor_;
};

HttpServer::HttpServer(HttpOptions options, HttpHandler handler, ErrorBody error_body,
                       std::function<void(const HttpExchange&)> on_exchange)
    : transport_(std::make_unique<Transport>(std::move(options), std::move(handler),
                                             std::move(error_body), std::move(on_exchange))) {}

HttpServer::~HttpServer() = default;

int HttpServer::start() {
  return transport_->start();
}

void HttpServer::stop() {
  transport_->stop();
}

std::size_t HttpServer::active() const {
  return transport_->active();
}

std::string HttpServer::failure() const {
  return transport_->failure();
}

}  // namespace fdllm::server
