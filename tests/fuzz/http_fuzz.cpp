#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http.h"

namespace {

using namespace fdllm::server;

constexpr std::size_t kMaxBodyBytes = 1000;

/// A server whose handler checks what it is given; never stopped, as the fuzzer never ends.
int start_server() {
  HttpOptions options;
  options.port = 0;
  options.max_body_bytes = kMaxBodyBytes;
  const auto handler = [](const HttpRequest& request) {
    if (request.method.empty() || request.id.empty()) std::abort();
    if (request.body.size() > kMaxBodyBytes) std::abort();
    HttpResponse response;
    response.body = request.body;
    if (request.path == "/stream") {
      response.stream = [body = request.body](const BodyWriter& write) {
        return write(body) && write("end");
      };
    }
    return response;
  };
  static HttpServer server(
      options, handler, [](int) { return std::string("refused"); },
      [](const HttpExchange& exchange) {
        if (exchange.status < 100 || exchange.status == 500) std::abort();
      });
  return server.start();
}

int connect_to(int port) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  return client;
}

}  // namespace

/// Whatever bytes come, the answer is HTTP or nothing, the connection closes in time, and memory is
/// safe. The library that splits the request into lines is not instrumented; what is made of its
/// results is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int port = start_server();
  const int client = connect_to(port);
  while (size > 0) {
    const ssize_t sent = send(client, data, size, MSG_NOSIGNAL);
    if (sent <= 0) break;  // it has read enough
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  shutdown(client, SHUT_WR);
  std::string answer;
  char buffer[4096];
  ssize_t count = 0;
  // A connection that stays open is for the fuzzer's own time limit to find.
  while ((count = recv(client, buffer, sizeof buffer, 0)) > 0) {
    answer.append(buffer, static_cast<std::size_t>(count));
  }
  close(client);
  if (!answer.empty() && !std::string_view(answer).starts_with("HTTP/1.")) std::abort();
  return 0;
}
