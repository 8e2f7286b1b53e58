#include "server/http.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
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
using ::testing::Not;
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
  /// That many bytes, or what comes until the server closes.
  std::string read(std::size_t bytes) {
    std::string text(bytes, '\0');
    std::size_t count = 0;
    while (count < bytes) {
      const ssize_t received = recv(socket_, text.data() + count, bytes - count, 0);
      if (received <= 0) break;
      count += static_cast<std::size_t>(received);
    }
    text.resize(count);
    return text;
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
  void start(const HttpHandler& handler, HttpOptions options = {},
             const std::function<void(const HttpExchange&)>& on_exchange = {}) {
    options.port = 0;
    options.read_seconds = 1;
    options.write_seconds = 1;
    options.idle_seconds = 1;
    server_ = std::make_unique<HttpServer>(
        options, handler, [](int status) { return "error " + std::to_string(status); },
        [this, on_exchange](const HttpExchange& exchange) {
          const std::lock_guard lock(mutex_);
          exchanges_.push_back(exchange);
          if (on_exchange) on_exchange(exchange);
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
  EXPECT_THAT(
      exchange(
          "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
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
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
       "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" +
           std::string(200000, 'a'),
       "413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
       "415"},
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"GET /" + long_text + " HTTP/1.1\r\nHost: x\r\n\r\n", "414"},
      {"GET / HTTP/1.1\r\nHost: x\r\nRange: nonsense\r\n\r\n", "416"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc3\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", "413"},
  };
  for (const auto& [request, status] : table) {
    SCOPED_TRACE(request.substr(0, 80));
    const std::string text = exchange(request);
    EXPECT_THAT(text, StartsWith("HTTP/1.1 " + status));
    EXPECT_THAT(text, EndsWith("error " + status));
  }
  // What to say of methods that no path takes is the handler's, whose body stays unread.
  EXPECT_THAT(exchange("TRACE /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"),
              EndsWith("TRACE /a []"));
  std::string many = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 20000; ++i) many += "X-Header: 1\r\n";
  EXPECT_THAT(exchange(many + "\r\n"), StartsWith("HTTP/1.1 431"));
  // A range that is well-formed is ignored.
  EXPECT_THAT(
      exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: bytes=0-1\r\n\r\n"),
      EndsWith("GET / []"));
  const std::string many_ranges = "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1" + [] {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += ",0-";
    return text;
  }() + "\r\nConnection: close\r\n\r\n";
  EXPECT_THAT(exchange(many_ranges), StartsWith("HTTP/1.1 "));
}

TEST_F(HttpTest, HeadersMayBeAsLongAsTheWholeHead) {
  start([](const HttpRequest& request) {
    HttpResponse response;
    response.body = std::to_string(request.header("Cookie").size());
    return response;
  });
  const auto with_cookie = [](std::size_t size) {
    return "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: " + std::string(size, 'c') +
           "\r\n\r\n";
  };
  for (const std::size_t size : {8180, 8192, 20000, 60000}) {
    EXPECT_THAT(exchange(with_cookie(size)), EndsWith("\r\n\r\n" + std::to_string(size)));
  }
  EXPECT_THAT(exchange(with_cookie(66000)), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpTest, LeavesValuesOfHeadersAsTheyAre) {
  start([](const HttpRequest& request) {
    HttpResponse response;
    response.body = std::string(request.header("authorization")) + "|" + request.path;
    return response;
  });
  EXPECT_THAT(exchange("GET /%41%2541?%42 HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n"
                       "X-Request-Id: a%41\r\nAuthorization: \tBearer k%41y+ %zz \r\n\r\n"),
              EndsWith("Bearer k%41y+ %zz|/A%41"));
  server_->stop();
  // No plain word, so that it gets another one.
  EXPECT_EQ(exchanges_.at(0).id.size(), 32u);
}

TEST_F(HttpTest, WordsOfTheProtocolHaveNoCase) {
  start(echo);
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nhOST: x\r\nTRANSFER-ENCODING: Chunked\r\n"
                       "connection: foo, CLOSE\r\n\r\n1\r\na\r\n0\r\n\r\n"),
              EndsWith("POST / [a]"));
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: Identity\r\n"
                       "CONTENT-LENGTH: 1\r\nConnection: close\r\n\r\nb"),
              EndsWith("POST / [b]"));
  const std::string continued = exchange(
      "POST / HTTP/1.1\r\nHost: x\r\nEXPECT: 100-Continue\r\nConnection: close\r\n"
      "Content-Length: 1\r\n\r\nc");
  EXPECT_THAT(continued, EndsWith("POST / [c]"));
  const std::string kept = exchange(
      "GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
      "GET /b HTTP/1.0\r\n\r\nGET /c HTTP/1.0\r\n\r\n");
  EXPECT_THAT(kept, HasSubstr("GET /a []"));
  EXPECT_THAT(kept, HasSubstr("Keep-Alive: timeout=1\r\n"));
  EXPECT_THAT(kept, EndsWith("GET /b []"));
}

TEST_F(HttpTest, AsksForABodyThatWaitsForIt) {
  start(echo);
  Client client(port_);
  client.write(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
      "Content-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read(25), "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("ab");
  EXPECT_THAT(client.read_all(), EndsWith("POST / [ab]"));
}

TEST_F(HttpTest, ABodylessAnswerHasOnlyItsHead) {
  start([](const HttpRequest& request) {
    HttpResponse response;
    if (request.path == "/none") response.status = 204;
    if (request.path == "/stream") {
      response.stream = [](const BodyWriter& write) { return write("ab") && write("c"); };
    } else if (response.status == 200) {
      response.body = "body";
    }
    return response;
  });
  const auto ask = [&](const std::string& line) {
    return exchange(line + "\r\nHost: x\r\nConnection: close\r\n\r\n");
  };
  const std::string head = ask("HEAD / HTTP/1.1");
  EXPECT_THAT(head, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_THAT(ask("HEAD /stream HTTP/1.1"), EndsWith("\r\n\r\n"));
  EXPECT_THAT(ask("GET /stream HTTP/1.1"), EndsWith("\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"));
  EXPECT_THAT(ask("GET /stream HTTP/1.0"), EndsWith("\r\n\r\nabc"));
  const std::string none = ask("OPTIONS /none HTTP/1.1");
  EXPECT_THAT(none, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(none, Not(HasSubstr("Content-Length")));
}

TEST_F(HttpTest, AFailingRequestEndsOnlyItself) {
  start(
      [](const HttpRequest& request) -> HttpResponse {
        if (request.path == "/memory") throw std::bad_alloc();
        if (request.path == "/bug") throw std::runtime_error("a bug");
        if (request.path == "/thrown") throw 7;
        HttpResponse response;
        response.stream = [](const BodyWriter& write) -> bool {
          write("half");
          throw std::bad_alloc();
        };
        return response;
      },
      {}, [](const HttpExchange&) { throw std::bad_alloc(); });
  const auto ask = [&](const std::string& path) {
    return exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  };
  EXPECT_THAT(ask("/memory"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(ask("/bug"), StartsWith("HTTP/1.1 500"));
  EXPECT_EQ(ask("/thrown"), "");
  const std::string half = ask("/stream");
  EXPECT_THAT(half, HasSubstr("half"));
  EXPECT_THAT(half, Not(EndsWith("0\r\n\r\n")));
  EXPECT_THAT(ask("/memory"), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(server_->active(), 0u);
}

TEST_F(HttpTest, IdleConnectionsMakeRoomForOthers) {
  HttpOptions options;
  options.max_connections = 4;
  start(echo, options);
  std::vector<std::unique_ptr<Client>> idle;
  const auto crowd = [&](std::string_view text) {
    for (int i = 0; i < 40; ++i) {
      idle.push_back(std::make_unique<Client>(port_));
      idle.back()->write(text);
    }
    // What has begun to send keeps its place for a moment.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  };
  for (const char* text :
       {"", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na"}) {
    crowd(text);
    EXPECT_THAT(exchange("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                EndsWith("GET /a []"));
  }
}

TEST_F(HttpTest, StopsAtOnceWhereNothingIsAnswered) {
  start(echo);
  Client idle(port_);
  Client half(port_);
  half.write("GET / HTTP/1.1\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(500));
  EXPECT_EQ(server_->failure(), "");
}

TEST_F(HttpTest, DoesNotWaitForeverForARequest) {
  start(echo);
  Client silent(port_);
  silent.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
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
    client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
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
  client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
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
    clients.back()->write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
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
  first.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
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
  try {
    second.start();
    FAIL() << "two servers on a port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("Address already in use"));
  }
}

}  // namespace
}  // namespace fdllm::server
