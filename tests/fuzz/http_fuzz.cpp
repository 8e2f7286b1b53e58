#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include "server/http.h"
#include "server/http/request_parser.h"
#include "server/http/request_target.h"
#include "server/http/session.h"

namespace {

using namespace fdllm::server;
using State = RequestParser::State;

constexpr std::size_t kMaxBodyBytes = 1000;
constexpr std::size_t kMaxInput = 60000;  // answers to more would not fit the system's pipe
constexpr std::size_t kMaxRequests = 50;

void require(bool condition) {
  if (!condition) std::abort();
}

/// What the parser makes of a connection's bytes: each request's parts, then how it ended.
std::vector<std::string> parse(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> found;
  while (!bytes.empty() && found.size() < kMaxRequests) {
    RequestParser parser(kMaxBodyBytes);
    while (!bytes.empty() && (parser.state() == State::kHead || parser.state() == State::kBody)) {
      const std::size_t used = parser.feed(bytes.substr(0, piece));
      require(used > 0 && used <= std::min(piece, bytes.size()));
      bytes.remove_prefix(used);
    }
    if (parser.state() == State::kRefused) {
      require(parser.refusal() >= 400 && parser.refusal() < 500);
      found.push_back("refused " + std::to_string(parser.refusal()));
      break;
    }
    if (parser.state() != State::kDone) {
      found.emplace_back("more");
      break;
    }
    const ReceivedRequest& request = parser.request();
    require(!request.method.empty() && !request.target.empty());
    require(request.body.size() <= kMaxBodyBytes);
    // One length, or chunks.
    require(request.count("Content-Length") + request.count("Transfer-Encoding") <= 1);
    std::string text = request.method + ' ' + request.target;
    for (const auto& [name, value] : request.headers) {
      require(!name.empty() && value.find_first_of("\r\n") == std::string::npos);
      text += '\n' + name + ':' + value;
    }
    found.push_back(text + "\n\n" + request.body);
    if (const auto target = parse_target(request.target)) require(!target->path.empty());
    if (parser.leaves_body() || !request.keeps_alive) break;
  }
  return found;
}

HttpResponse answer(const HttpRequest& request) {
  require(!request.method.empty() && !request.id.empty());
  require(request.body.size() <= kMaxBodyBytes);
  HttpResponse response;
  response.body = request.body;
  if (request.path == "/stream") {
    response.stream = [body = request.body](const BodyWriter& write) {
      return write(body) && write("end");
    };
  }
  return response;
}

/// All that a server answers to a client that sends these bytes and then says that no more come.
std::string serve(std::string_view bytes) {
  static SessionShared* const shared = new SessionShared{
      .options = {.max_body_bytes = kMaxBodyBytes, .read_seconds = 1, .write_seconds = 1},
      .handler = answer,
      .error_body = [](int) { return std::string("refused"); },
      .on_exchange =
          [](const HttpExchange& exchange) {
            require(exchange.status >= 100 && exchange.status != 500);
          }};
  std::array<int, 2> ends = {};
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  const Socket client(ends[0]);
  Socket server(ends[1]);
  const int room = 1 << 22;
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  while (!bytes.empty()) {
    const ssize_t sent = send(ends[0], bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  shutdown(ends[0], SHUT_WR);
  serve_connection(*shared, std::move(server));
  std::string text;
  std::array<char, 16384> buffer = {};
  ssize_t count = 0;
  while ((count = recv(ends[0], buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

/// Whatever bytes come, in whatever pieces: the parser makes the same requests of them, none of
/// which has two lengths or more than the limits; and a connection that sends them gets HTTP or
/// nothing and is over in time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), std::min(size, kMaxInput));
  const std::vector<std::string> whole = parse(bytes, std::string_view::npos);
  const std::size_t piece = size > 0 ? 1 + data[size - 1] % 13 : 1;
  require(parse(bytes, piece) == whole);
  const std::string answered = serve(bytes);
  require(answered.empty() || std::string_view(answered).starts_with("HTTP/1.1 "));
  return 0;
}
