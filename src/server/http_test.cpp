#include "server/http.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fastdllm/error.h"

namespace fdllm::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A raw connection.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close_now(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void close_now() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  void write(std::string_view data) {
    while (!data.empty()) {
      const ssize_t sent = send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// All until the server closes.
  std::string read_all() {
    std::string text;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = recv(socket_, buffer, sizeof buffer, 0)) > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int socket_;
  bool connected_ = false;
};

class HttpTest : public ::testing::Test {
 protected:
  void start(const HttpHandler& handler, HttpOptions options = {}) {
    options.port = 0;
    options.read_seconds = 1;
    options.write_seconds = 1;
    options.idle_seconds = 1;
    server_ = std::make_unique<HttpServer>(
        options, handler, [](int status) { return "error " + std::to_string(status); },
        [this](const HttpExchange& exchange) {
          const std::lock_guard lock(mutex_);
          exchanges_.push_back(exchange);
        });
    port_ = server_->start();
  }

  std::string exchange(std::string_view request) {
    Client client(port_);
    client.write(request);
    return client.read_all();
  }

  std::mutex mutex_;
  std::vector<HttpExchange> exchanges_;
  std::unique_ptr<HttpServer> server_;
  int port_ = 0;
};

HttpResponse echo(const HttpRequest& request) {
  HttpResponse response;
  response.body = request.method + " " + request.path + " [" + request.body + "]";
  return response;
}

TEST_F(HttpTest, AnswersRequestsOfAConnectionInTurn) {
  start(echo);
  const std::string text = exchange(
      "POST /a%20b?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX-Request-Id: my-1\r\n\r\nabc"
      "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(text, HasSubstr("POST /a b [abc]"));
  EXPECT_THAT(text, HasSubstr("X-Request-Id: my-1\r\n"));
  EXPECT_THAT(text, EndsWith("GET /c []"));
  server_->stop();
  ASSERT_EQ(exchanges_.size(), 2u);
  EXPECT_EQ(exchanges_[0].id, "my-1");
  EXPECT_EQ(exchanges_[0].request_bytes, 3u);
  EXPECT_TRUE(exchanges_[0].complete);
  EXPECT_EQ(exchanges_[1].id.size(), 32u);
}

TEST_F(HttpTest, ReadsChunkedBodies) {
  start(echo);
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
              EndsWith("POST / [abcde]"));
}

TEST_F(HttpTest, RefusesWhatItCannotRead) {
  HttpOptions options;
  options.max_body_bytes = 100;
  start(echo, options);
  const std::string long_text(9000, 'a');
  const std::vector<std::pair<std::string, std::string>> table = {
      {"nonsense\r\n\r\n", "400"},
      {"GET / HTTP/9.9\r\n\r\n", "400"},
      {std::string("\x16\x03\x01\x02\0\x01\0\r\n\r\n", 11), "400"},
      {"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na", "400"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" +
           std::string(200000, 'a'),
       "413"},
      {"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", "415"},
      {"GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"GET /" + long_text + " HTTP/1.1\r\n\r\n", "414"},
      {"GET / HTTP/1.1\r\nRange: nonsense\r\n\r\n", "416"},
      {"GET / HTTP/1.1\r\nX: " + long_text + "\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", "413"},
  };
  for (const auto& [request, status] : table) {
    SCOPED_TRACE(request.substr(0, 80));
    const std::string text = exchange(request);
    EXPECT_THAT(text, StartsWith("HTTP/1.1 " + status));
    EXPECT_THAT(text, EndsWith("error " + status));
  }
  // What to say of methods that no path takes is the handler's, whose body stays unread.
  EXPECT_THAT(exchange("TRACE /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"),
              EndsWith("TRACE /a []"));
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 20000; ++i) many += "X-Header: 1\r\n";
  EXPECT_THAT(exchange(many + "\r\n"), StartsWith("HTTP/1.1 431"));
  // A range that is well-formed is ignored.
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nConnection: close\r\nRange: bytes=0-1\r\n\r\n"),
              EndsWith("GET / []"));
  const std::string many_ranges = "GET / HTTP/1.1\r\nRange: bytes=0-1" + [] {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += ",0-";
    return text;
  }() + "\r\nConnection: close\r\n\r\n";
  EXPECT_THAT(exchange(many_ranges), StartsWith("HTTP/1.1 "));
}

TEST_F(HttpTest, DoesNotWaitForeverForARequest) {
  start(echo);
  Client silent(port_);
  silent.write("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_THAT(silent.read_all(), StartsWith("HTTP/1.1 408"));
  Client idle(port_);
  EXPECT_EQ(idle.read_all(), "");
}

TEST_F(HttpTest, StreamsAndNoticesThatTheClientIsGone) {
  std::atomic<bool> noticed{false};
  start([&](const HttpRequest& request) {
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.stream = [&noticed, connected = request.connected](const BodyWriter& write) {
      for (int i = 0; i < 100; ++i) {
        if (!write("piece\n") || !connected()) {
          noticed = true;
          return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      return true;
    };
    return response;
  });
  {
    Client client(port_);
    client.write("GET / HTTP/1.1\r\n\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  server_->stop();
  EXPECT_TRUE(noticed);
  ASSERT_EQ(exchanges_.size(), 1u);
  EXPECT_FALSE(exchanges_[0].complete);
}

TEST_F(HttpTest, AClientThatReadsTooSlowlyIsLeft) {
  std::atomic<bool> begun{false};
  start([&](const HttpRequest&) {
    HttpResponse response;
    response.stream = [&](const BodyWriter& write) {
      begun = true;
      const std::string piece(1 << 20, 'a');
      for (int i = 0; i < 100; ++i) {
        if (!write(piece)) return false;
      }
      return true;
    };
    return response;
  });
  Client client(port_);
  client.write("GET / HTTP/1.1\r\n\r\n");
  while (!begun) std::this_thread::yield();
  server_->stop();  // waits for the answer's end
  ASSERT_EQ(exchanges_.size(), 1u);
  EXPECT_FALSE(exchanges_[0].complete);
}

TEST_F(HttpTest, ServesManyStreamsAtOnce) {
  std::atomic<int> begun{0};
  constexpr int kStreams = 100;
  start([&](const HttpRequest&) {
    HttpResponse response;
    response.stream = [&](const BodyWriter& write) {
      ++begun;
      while (begun < kStreams) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return write("done");
    };
    return response;
  });
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<Client>(port_));
    clients.back()->write("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  }
  for (const auto& client : clients) EXPECT_THAT(client->read_all(), HasSubstr("done"));
}

TEST_F(HttpTest, RefusesConnectionsBeyondItsLimit) {
  std::atomic<bool> go{false};
  HttpOptions options;
  options.max_connections = 1;
  start(
      [&](const HttpRequest&) {
        while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return HttpResponse{};
      },
      options);
  Client first(port_);
  first.write("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(exchange(""), StartsWith("HTTP/1.1 503"));
  go = true;
  EXPECT_THAT(first.read_all(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpTest, ATakenPortIsAnError) {
  start(echo);
  HttpOptions options;
  options.port = port_;
  HttpServer second(
      options, echo, [](int) { return ""; }, [](const HttpExchange&) {});
  EXPECT_THROW(second.start(), Error);
}

}  // namespace
}  // namespace fdllm::server
