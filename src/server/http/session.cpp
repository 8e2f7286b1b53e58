#include "server/http/session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <malloc.h>

#include "base/log.h"
#include "server/http/goodbye.h"
#include "server/http/protocol_words.h"
#include "server/http/request_target.h"

namespace fdllm::server {
namespace {

using Clock = std::chrono::steady_clock;
using Phase = ConnectionTable::Phase;

constexpr int kRequestsPerConnection = 1000;
constexpr std::size_t kMaxIdLength = 128;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdLength && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

/// Gives back to the system what a large request has left in the allocator, which would keep it for
/// threads that may never need as much again.
void return_free_memory(std::size_t request_bytes) {
  constexpr std::size_t kLarge = std::size_t{128} << 10;
#ifdef __GLIBC__
  if (request_bytes >= kLarge) malloc_trim(0);
#endif
}

/// A request while it is read and answered.
struct Exchange {
  explicit Exchange(std::size_t max_body_bytes) : parser(max_body_bytes) {}

  RequestParser parser;
  std::optional<RequestTarget> target;
  HttpRequest request;
  HttpExchange record;
  Clock::time_point begin = Clock::now();
  bool is_last = false;  ///< the connection ends with it
};

/// Counts a request as being answered.
class ActiveRequest {
 public:
  explicit ActiveRequest(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
  ~ActiveRequest() { --count_; }
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;

 private:
  std::atomic<std::size_t>& count_;
};

class Session {
 public:
  Session(SessionShared& shared, Socket socket)
      : shared_(shared),
        connection_(std::move(socket), shared.options.write_seconds),
        entry_(shared.table, connection_.descriptor()) {}

  void run() {
    int left = kRequestsPerConnection;
    while (left > 0 && entry_.enter(Phase::kIdle) && wait_for_request()) {
      if (!serve_one(--left == 0)) break;
    }
    if (entry_.enter(Phase::kLeaving)) connection_.finish();
  }

 private:
  bool wait_for_request() {
    return connection_.wait_readable(std::chrono::seconds(shared_.options.idle_seconds));
  }

  /// Reads and answers a request; false: the connection is to be closed.
  bool serve_one(bool is_last) {
    answer_has_begun_ = false;
    bool goes_on = false;
    std::size_t bytes = 0;
    try {
      Exchange exchange(shared_.options.max_body_bytes);
      exchange.is_last = is_last;
      goes_on = serve_safely(exchange);
      if (exchange.record.status != 0) record(exchange);
      bytes = exchange.record.request_bytes + exchange.parser.request().body.size();
    } catch (const std::exception& error) {
      answer_failure(error);
    }
    return_free_memory(bytes);
    return goes_on;
  }

  bool serve_safely(Exchange& exchange) {
    try {
      return serve(exchange);
    } catch (const std::exception& error) {
      exchange.record.status = answer_failure(error);
      exchange.record.complete = false;
      return false;
    }
  }

  /// Says what can be said without memory; returns the status.
  int answer_failure(const std::exception& error) {
    const bool is_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
    const int status = is_memory ? 503 : 500;
    if (!answer_has_begun_) connection_.write_at_once(bare_response(status));
    answer_has_begun_ = true;
    if (!is_memory) log_warning("a request: {}", error.what());
    return status;
  }

  bool serve(Exchange& exchange) {
    connection_.begin_request(shared_.options.read_seconds);
    entry_.enter(Phase::kReading);
    const int refusal = receive(exchange);
    const bool has_failed = connection_.failure() != Connection::Failure::kNone;
    // A peer that closed or fell silent before its first byte has asked for nothing.
    if (refusal != 0 && has_failed && !exchange.parser.has_begun()) return false;
    // Once it is being answered, nobody ends the connection.
    if (!entry_.enter(Phase::kAnswering)) {
      exchange.record.status = 503;
      connection_.write_at_once(bare_response(503));
      return false;
    }
    return refusal == 0 ? answer(exchange) : refuse(exchange, refusal);
  }

  /// Reads a request whole; returns 0, or the status to refuse it with.
  int receive(Exchange& exchange) {
    using State = RequestParser::State;
    RequestParser& parser = exchange.parser;
    bool has_continued = false;
    while (parser.state() == State::kHead || parser.state() == State::kBody) {
      if (parser.state() == State::kBody && !has_continued) {
        has_continued = true;
        if (wants_continue(parser.request()) && !connection_.write({kContinue})) return 400;
      }
      const std::string_view bytes = connection_.receive();
      if (bytes.empty()) break;
      connection_.take(parser.feed(bytes));
    }
    name_request(exchange);
    if (parser.state() == State::kRefused) return parser.refusal();
    if (parser.state() != State::kDone) {
      return connection_.failure() == Connection::Failure::kTimeout ? 408 : 400;
    }
    // CONNECT names no path; what is to be said of it is the handler's.
    if (!exchange.target && parser.request().method != "CONNECT") return 400;
    take_request(exchange);
    return 0;
  }

  bool wants_continue(const ReceivedRequest& request) const {
    return request.minor_version > 0 && has_word(request.header("Expect"), "100-continue") &&
           !connection_.has_received();
  }

  /// What the log says of a request, however much of it has come.
  void name_request(Exchange& exchange) const {
    const ReceivedRequest& received = exchange.parser.request();
    HttpRequest& request = exchange.request;
    request.method = received.method;
    exchange.target = parse_target(received.target);
    request.path = exchange.target ? exchange.target->path : received.target;
    const std::string_view id = received.header("X-Request-Id");
    request.id = is_plain_word(id) ? std::string(id) : new_request_id();
    request.remote_address = connection_.remote_address();
  }

  void take_request(Exchange& exchange) {
    ReceivedRequest& received = exchange.parser.request();
    HttpRequest& request = exchange.request;
    if (exchange.target) request.host = exchange.target->authority;
    if (request.host.empty()) request.host = received.header("Host");
    request.headers = std::move(received.headers);
    request.body = std::move(received.body);
    request.is_loopback = shared_.is_loopback;
    request.connected = [this] { return connection_.connected(); };
    exchange.record.request_bytes = request.body.size();
  }

  bool answer(Exchange& exchange) {
    const ActiveRequest active(shared_.active);
    const HttpResponse response = shared_.handler(exchange.request);
    exchange.record.status = response.status;
    exchange.record.cost = response.cost;
    const bool keeps_alive = exchange.parser.request().keeps_alive && !exchange.is_last &&
                             !exchange.parser.leaves_body() && !entry_.is_ended();
    return send(exchange, response, keeps_alive);
  }

  /// Nothing is known of where the next request would begin.
  bool refuse(Exchange& exchange, int status) {
    HttpResponse response;
    response.status = status;
    response.body = shared_.error_body(status);
    exchange.record.status = status;
    return send(exchange, response, false);
  }

  bool send(Exchange& exchange, const HttpResponse& response, bool keeps_alive) {
    ResponseWriter writer(connection_, {.is_head = exchange.request.method == "HEAD",
                                        .minor_version = exchange.parser.request().minor_version,
                                        .keeps_alive = keeps_alive,
                                        .idle_seconds = shared_.options.idle_seconds,
                                        .id = exchange.request.id});
    try {
      exchange.record.complete = writer.send(response);
    } catch (const std::exception& error) {
      if (!writer.has_begun()) throw;
      answer_has_begun_ = true;
      answer_failure(error);
    }
    answer_has_begun_ = true;
    exchange.record.response_bytes = writer.body_bytes();
    return exchange.record.complete && writer.keeps_alive();
  }

  void record(Exchange& exchange) const {
    HttpExchange& done = exchange.record;
    done.id = exchange.request.id;
    done.method = exchange.request.method;
    done.path = exchange.request.path;
    done.remote_address = exchange.request.remote_address;
    done.seconds = std::chrono::duration<double>(Clock::now() - exchange.begin).count();
    try {
      shared_.on_exchange(done);
    } catch (const std::exception&) {
      // What cannot be logged was answered all the same.
    }
  }

  SessionShared& shared_;
  Connection connection_;
  ConnectionTable::Entry entry_;
  bool answer_has_begun_ = false;  ///< to the request at hand
};

}  // namespace

void serve_connection(SessionShared& shared, Socket socket) noexcept {
  try {
    Session(shared, std::move(socket)).run();
  } catch (...) {
    // No memory for the connection, or none to say so: it is closed, and the others go on.
  }
}

}  // namespace fdllm::server
