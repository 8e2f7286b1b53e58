#include "server/http.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include <httplib.h>

#include "base/check.h"
#include "base/log.h"
#include "server/connection.h"

namespace fdllm::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 10;
constexpr int kBacklog = 512;
constexpr int kRequestsPerConnection = 1000;
constexpr auto kStopPoll = std::chrono::milliseconds(200);
// What chunks add to a body is bounded by a fixed part of it; smaller chunks are refused.
constexpr std::size_t kChunkOverhead = 2;
constexpr std::size_t kMaxIdLength = 128;

constexpr char kTooManyConnections[] =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    "Content-Type: application/json\r\n";

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdLength && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

/// Threads made when they are needed, up to a limit.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(std::size_t limit) : limit_(limit) {}

  /// Set while a connection for which there is no thread is turned away.
  static bool& turning_away() {
    thread_local bool value = false;
    return value;
  }

  void enqueue(std::function<void()> task) override {
    {
      const std::lock_guard lock(mutex_);
      if (idle_ > waiting_.size() || threads_.size() < limit_) {
        waiting_.push_back(std::move(task));
        if (idle_ < waiting_.size()) threads_.emplace_back([this] { work(); });
        changed_.notify_one();
        return;
      }
    }
    turning_away() = true;
    task();
    turning_away() = false;
  }

  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
      --idle_;
      if (waiting_.empty()) return;
      const std::function<void()> task = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ends_ = false;
};

/// The library's view of a Connection.
class ConnectionStream : public httplib::Stream {
 public:
  explicit ConnectionStream(Connection& connection) : connection_(connection) {}

  bool is_readable() const override {
    return connection_.wait_readable(std::chrono::milliseconds(0));
  }
  bool is_writable() const override { return connection_.writable(); }
  ssize_t read(char* data, std::size_t size) override { return connection_.read(data, size); }
  ssize_t write(const char* data, std::size_t size) override {
    return connection_.write(data, size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip = connection_.remote_address();
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  // The library refuses sockets that select() could not wait for; nothing here uses select().
  socket_t socket() const override { return 0; }

 private:
  Connection& connection_;
};

/// A request while it is read and answered.
struct Exchange {
  HttpRequest request;
  HttpExchange record;
  Clock::time_point begin;
  const Connection* connection = nullptr;
  int refusal = 0;  ///< a status that the transport has decided on
  bool close = false;
};

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return "";
}

std::string new_request_id() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return fmt::format("{:016x}{:016x}", engine(), engine());
}

/// The library parses requests and writes responses; sockets, threads and limits are ours.
class HttpServer::Transport : public httplib::Server {
 public:
  Transport(HttpOptions options, HttpHandler handler, ErrorBody error_body,
            std::function<void(const HttpExchange&)> on_exchange)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        error_body_(std::move(error_body)),
        on_exchange_(std::move(on_exchange)) {
    new_task_queue = [this] { return new ConnectionThreads(options_.max_connections); };
    set_keep_alive_max_count(kRequestsPerConnection);
    set_keep_alive_timeout(options_.idle_seconds);
    // The default would let two servers share a port unnoticed.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    // Every request is routed by us: the library sees them all as requests for "/".
    const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
      this->answer(request, response);
    };
    Get("/", answer).Post("/", answer).Put("/", answer).Patch("/", answer);
    Delete("/", answer).Options("/", answer);
    const HandlerWithResponse on_error = [this](const httplib::Request&,
                                                httplib::Response& response) {
      return complete_error(response);
    };
    set_error_handler(on_error);
    set_expect_100_continue_handler([](const httplib::Request&, httplib::Response& response) {
      const int refusal = current()->refusal;
      if (refusal != 0) response.status = refusal;
      return refusal != 0 ? refusal : 100;
    });
  }

  int start() {
    errno = 0;
    int port = options_.port;
    const bool bound = port == 0 ? (port = bind_to_any_port(options_.host)) > 0
                                 : bind_to_port(options_.host, port);
    if (!bound) {
      fail(ErrorCode::kNotFound, "--host {} --port {}: cannot be listened on: {}", options_.host,
           options_.port, errno != 0 ? std::strerror(errno) : "no such address");
    }
    // The library's backlog of five connections is too short for bursts.
    ::listen(svr_sock_, kBacklog);
    acceptor_ = std::thread([this] {
      listen_after_bind();
      ended_ = true;
    });
    while (!is_running() && !ended_) std::this_thread::yield();
    return port;
  }

  void stop() {
    stopping_ = true;
    httplib::Server::stop();
    if (acceptor_.joinable()) acceptor_.join();
  }

  std::size_t active() const { return active_; }

 private:
  static Exchange*& current() {
    thread_local Exchange* exchange = nullptr;
    return exchange;
  }

  bool process_and_close_socket(socket_t socket) override {
    Connection connection(socket, options_.write_seconds);
    if (ConnectionThreads::turning_away()) {
      const std::string body = error_body_(503);
      const std::string text =
          fmt::format("{}Content-Length: {}\r\n\r\n{}", kTooManyConnections, body.size(), body);
      connection.write(text.data(), text.size());
      return false;
    }
    ConnectionStream stream(connection);
    for (int left = kRequestsPerConnection; left > 0; --left) {
      if (!wait_for_request(connection)) break;
      if (!serve(connection, stream, left == 1)) break;
    }
    connection.finish();
    return true;
  }

  bool wait_for_request(const Connection& connection) const {
    const auto deadline = Clock::now() + std::chrono::seconds(options_.idle_seconds);
    while (!stopping_ && Clock::now() < deadline) {
      if (connection.wait_readable(kStopPoll)) return true;
    }
    return false;
  }

  /// Reads and answers a request; false: the connection is to be closed.
  bool serve(Connection& connection, ConnectionStream& stream, bool last) {
    Exchange exchange;
    exchange.begin = Clock::now();
    exchange.connection = &connection;
    exchange.request.connected = [&connection] { return connection.connected(); };
    exchange.request.remote_address = connection.remote_address();
    current() = &exchange;
    connection.begin_request(options_.read_seconds, kMaxHeaderBytes);
    bool closed = false;
    const bool ok = process_request(stream, last, closed, [&](httplib::Request& request) {
      take_head(request, connection, exchange);
    });
    current() = nullptr;
    // A peer that closed or fell silent before its first request line has asked for nothing.
    if (exchange.record.status != 0) {
      exchange.record.complete = ok;
      record(exchange);
    }
    return ok && !closed && !exchange.close && connection.failure() == Connection::Failure::kNone;
  }

  /// Moves what was read of the request out of the library's hands, so that it only reads the body.
  void take_head(httplib::Request& request, Connection& connection, Exchange& exchange) const {
    HttpRequest& taken = exchange.request;
    taken.method = request.method;
    taken.path = request.path;
    for (const auto& [name, value] : request.headers) taken.headers.emplace_back(name, value);
    const std::string_view id = taken.header("X-Request-Id");
    taken.id = is_plain_word(id) ? std::string(id) : new_request_id();
    request.path = "/";
    request.params.clear();
    request.ranges.clear();
    // Methods that no path takes, which is for the handler to say.
    const bool is_foreign =
        request.method == "TRACE" || request.method == "CONNECT" || request.method == "PRI";
    if (is_foreign) request.method = "GET";
    // The library would compress responses, inflate bodies without a limit and parse forms.
    const bool is_encoded =
        request.has_header("Content-Encoding") && taken.header("Content-Encoding") != "identity";
    for (const char* name : {"Accept-Encoding", "Content-Encoding", "Content-Type"}) {
      request.headers.erase(name);
    }
    const std::size_t length = body_length(request, exchange);
    if (is_encoded) exchange.refusal = 415;
    const bool takes_body = request.method == "POST" || request.method == "PUT" ||
                            request.method == "PATCH" || request.method == "DELETE";
    if (!takes_body && !is_foreign && length > 0) exchange.refusal = 400;
    if (exchange.refusal != 0 || is_foreign) {
      // The body stays unread.
      request.headers.erase("Transfer-Encoding");
      request.headers.erase("Content-Length");
      request.set_header("Content-Length", "0");
      request.set_header("Connection", "close");
      exchange.close = true;
      return;
    }
    connection.allow(length);
  }

  /// Bytes that may be read for the body. Makes sure that it has exactly one length.
  std::size_t body_length(httplib::Request& request, Exchange& exchange) const {
    const std::size_t lengths = request.get_header_value_count("Content-Length");
    if (request.has_header("Transfer-Encoding")) {
      const bool is_chunked =
          equal_ignoring_case(request.get_header_value("Transfer-Encoding"), "chunked");
      if (lengths > 0 || !is_chunked) exchange.refusal = 400;
      return kChunkOverhead * options_.max_body_bytes;
    }
    if (lengths == 0) {
      request.set_header("Content-Length", "0");
      return 0;
    }
    const std::string text = request.get_header_value("Content-Length");
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const bool is_number = end == text.data() + text.size() && !text.empty();
    if (lengths > 1 || !is_number || error == std::errc::invalid_argument) {
      exchange.refusal = 400;
    } else if (error != std::errc{} || length > options_.max_body_bytes) {
      exchange.refusal = 413;
    }
    return length;
  }

  void answer(const httplib::Request& request, httplib::Response& response) {
    Exchange& exchange = *current();
    exchange.record.request_bytes = request.body.size();
    if (exchange.refusal == 0 && request.body.size() > options_.max_body_bytes) {
      exchange.refusal = 413;
      exchange.close = true;
    }
    if (exchange.refusal != 0) {
      response.status = exchange.refusal;
      return;
    }
    exchange.request.body = request.body;
    ++active_;
    const std::shared_ptr<void> end(nullptr, [this](void*) { --active_; });
    HttpResponse answer = handler_(exchange.request);
    response.status = answer.status;
    exchange.record.status = answer.status;
    exchange.record.cost = answer.cost;
    for (const auto& [name, value] : answer.headers) response.set_header(name, value);
    response.set_header("X-Request-Id", exchange.request.id);
    if (!answer.stream) {
      exchange.record.response_bytes = answer.body.size();
      response.set_content(answer.body, answer.content_type);
      return;
    }
    if (exchange.request.method == "HEAD") return;
    // `end` goes along: the request is active until its body has been written.
    const auto provider = [stream = std::move(answer.stream), &exchange, end](
                              std::size_t, httplib::DataSink& sink) {
      const bool whole = stream([&](std::string_view data) {
        exchange.record.response_bytes += data.size();
        return data.empty() || sink.write(data.data(), data.size());
      });
      if (whole) sink.done();
      return whole;
    };
    if (request.version == "HTTP/1.0") {
      exchange.close = true;
      response.set_content_provider(answer.content_type, provider);
    } else {
      response.set_chunked_content_provider(answer.content_type, provider);
    }
  }

  /// Gives an answer of the library's own a body.
  HandlerResponse complete_error(httplib::Response& response) {
    Exchange& exchange = *current();
    if (exchange.record.status != 0) return HandlerResponse::Unhandled;
    // Nothing more can be known of where the next request would begin.
    exchange.close = true;
    response.set_header("Connection", "close");
    response.status = status_of(exchange, response.status);
    if (exchange.request.id.empty()) exchange.request.id = new_request_id();
    response.set_header("X-Request-Id", exchange.request.id);
    response.set_content(error_body_(response.status), "application/json");
    exchange.record.status = response.status;
    exchange.record.response_bytes = response.body.size();
    return HandlerResponse::Handled;
  }

  /// The status of a request that was refused or could not be read.
  static int status_of(const Exchange& exchange, int library_status) {
    if (exchange.refusal != 0) return exchange.refusal;
    const bool has_head = !exchange.request.method.empty();
    switch (exchange.connection->failure()) {
      case Connection::Failure::kTimeout:
        return 408;
      case Connection::Failure::kTooLarge:
        return has_head ? 413 : 431;
      case Connection::Failure::kNone:
      case Connection::Failure::kClosed:
        break;
    }
    return library_status;
  }

  void record(Exchange& exchange) const {
    HttpExchange& done = exchange.record;
    done.id = exchange.request.id;
    done.method = exchange.request.method;
    done.path = exchange.request.path;
    done.remote_address = exchange.request.remote_address;
    done.seconds = std::chrono::duration<double>(Clock::now() - exchange.begin).count();
    on_exchange_(done);
  }

  HttpOptions options_;
  HttpHandler handler_;
  ErrorBody error_body_;
  std::function<void(const HttpExchange&)> on_exchange_;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false}, ended_{false};
  std::atomic<std::size_t> active_{0};
};

HttpServer::HttpServer(HttpOptions options, HttpHandler handler, ErrorBody error_body,
                       std::function<void(const HttpExchange&)> on_exchange)
    : transport_(std::make_unique<Transport>(std::move(options), std::move(handler),
                                             std::move(error_body), std::move(on_exchange))) {}

HttpServer::~HttpServer() {
  stop();
}

int HttpServer::start() {
  return transport_->start();
}

void HttpServer::stop() {
  transport_->stop();
}

std::size_t HttpServer::active() const {
  return transport_->active();
}

}  // namespace fdllm::server
