#include "server/http/request_parser.h"

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using State = RequestParser::State;

constexpr std::size_t kMaxBody = 1000;

/// What becomes of the bytes: "METHOD target [body] rest", or a status, or "more".
std::string outcome(std::string_view bytes, std::size_t piece = std::string_view::npos) {
  RequestParser parser(kMaxBody);
  while (!bytes.empty() && (parser.state() == State::kHead || parser.state() == State::kBody)) {
    bytes.remove_prefix(parser.feed(bytes.substr(0, piece)));
  }
  if (parser.state() == State::kRefused) return std::to_string(parser.refusal());
  if (parser.state() != State::kDone) return "more";
  const ReceivedRequest& request = parser.request();
  return request.method + " " + request.target + " [" + request.body + "] " + std::string(bytes);
}

std::string post(std::string_view headers, std::string_view body = "") {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

TEST(RequestParser, ReadsWhateverPiecesItIsFed) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"GET /a HTTP/1.1\r\nHost: b\r\n\r\nGET", "GET /a [] GET"},
      {"\r\n\r\nGET / HTTP/1.0\r\n\r\n", "GET / [] "},
      {post("Content-Length: 3\r\n", "abcdef"), "POST / [abc] def"},
      {post("Content-Length: 0\r\n", "def"), "POST / [] def"},
      {post("Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nrest"),
       "POST / [abc0123456789] rest"},
      {post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nHost: z\r\nX: y\r\n\r\nrest"),
       "POST / [a] rest"},
      {post("Transfer-Encoding: chunked\r\n", "g\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "1;x=\"y\r\nz\r\n0\r\n\r\nrest"), "POST / [z] rest"},
      {post("Transfer-Encoding: chunked\r\n", "1;x\ny\r\nz\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "1\nz\n0\n\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "1\r\nzz\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "0x1\r\nz\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", " 1\r\nz\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "00000000000000001\r\nz\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "-1\r\nabc\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "3e9\r\n"), "413"},
      {post("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n"), "413"},
  };
  for (const auto& [bytes, expected] : table) {
    SCOPED_TRACE(bytes);
    for (const std::size_t piece :
         {std::string_view::npos, std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
      EXPECT_EQ(outcome(bytes, piece), expected) << piece;
    }
    for (std::size_t length = 0; length < 20; ++length) {
      EXPECT_EQ(outcome(std::string_view(bytes).substr(0, length)), "more");
    }
  }
}

TEST(RequestParser, RefusesWhatAProxyMayReadOtherwise) {
  for (const std::string& bytes : {
           post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"),
           post("Content-Length: 1, 1\r\n", "a"),
           post("Content-Length: +1\r\n", "a"),
           post("Content-Length: 0x1\r\n", "a"),
           post("Content-Length: 1 1\r\n", "a"),
           post("Content-Length:\r\n"),
           post("Content-Length : 1\r\n", "a"),
           post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "1\r\na\r\n0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: \x0b"
                "chunked\r\n",
                "0\r\n\r\n"),
           std::string("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
           post("X: a\r\n b\r\n"),
           post(" X: a\r\n"),
           post("X: a\n"),
           post("X: a\r"),
           post(std::string("X: a\0b\r\n", 8)),
           post("X\r\n"),
           post(": a\r\n"),
           post("X Y: a\r\n"),
           std::string("GET / HTTP/1.1\nHost: a\n\n"),
           std::string("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
           std::string("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
           std::string("GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
           std::string("GET / http/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /\r\n\r\n"),
           std::string("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("\x16\x03\x01\x02"),
           std::string("GET / HTTP/1.1\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"),
           std::string("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
       }) {
    SCOPED_TRACE(bytes);
    EXPECT_EQ(outcome(bytes), "400");
    EXPECT_EQ(outcome(bytes, 1), "400");
  }
}

TEST(RequestParser, KnowsItsLimits) {
  const auto head = [](std::size_t size) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\nCookie: ";
    return text + std::string(size - text.size() - 4, 'c') + "\r\n\r\n";
  };
  EXPECT_EQ(outcome(head(kMaxHeadBytes)), "GET / [] ");
  EXPECT_EQ(outcome(head(kMaxHeadBytes), 1000), "GET / [] ");
  EXPECT_EQ(outcome(head(kMaxHeadBytes + 1)), "431");
  EXPECT_EQ(outcome(head(kMaxHeadBytes + 1), 1), "431");
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nX: " + std::string(kMaxHeadBytes, 'a'), 100), "431");
  EXPECT_EQ(outcome(post("Content-Length: 1000\r\n", std::string(1000, 'a'))),
            "POST / [" + std::string(1000, 'a') + "] ");
  EXPECT_EQ(outcome(post("Content-Length: 1001\r\n")), "413");
  EXPECT_EQ(outcome(post("Content-Length: 99999999999999999999999999\r\n")), "413");
  EXPECT_EQ(outcome(post("Content-Length: 00000000000000000000000000000001\r\n", "a")),
            "POST / [a] ");
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "1\r\na\r\n";
  EXPECT_EQ(outcome(post(chunked, many), 1000), "413");
  EXPECT_EQ(outcome(post(chunked, "1;" + std::string(200000, 'x')), 1000), "400");
  EXPECT_EQ(outcome(post(chunked, "0\r\nX: " + std::string(70000, 'x')), 1000), "431");
}

TEST(RequestParser, KeepsHeadersAsTheyWereSent) {
  RequestParser parser(kMaxBody);
  parser.feed("GET / HTTP/1.1\r\nHost:a\r\nA:  b %41 \t\r\na:\r\nX: \xc3\xa9\r\n\r\n");
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_THAT(parser.request().headers, ElementsAre(Pair("Host", "a"), Pair("A", "b %41"),
                                                    Pair("a", ""), Pair("X", "\xc3\xa9")));
  EXPECT_EQ(parser.request().header("a"), "b %41");
  EXPECT_EQ(parser.request().count("A"), 2u);
}

TEST(RequestParser, KnowsWhetherTheConnectionGoesOn) {
  const std::vector<std::tuple<std::string, std::string, bool>> table = {
      {"1.1", "", true},
      {"1.1", "close", false},
      {"1.1", "Foo, CLOSE", false},
      {"1.1", "keep-alive", true},
      {"1.0", "", false},
      {"1.0", "Keep-Alive", true},
      {"1.0", "close", false},
      {"1.0", "TE, keep-ALIVE", true},
  };
  for (const auto& [version, connection, expected] : table) {
    RequestParser parser(kMaxBody);
    const std::string line = connection.empty() ? "" : "Connection: " + connection + "\r\n";
    parser.feed("GET / HTTP/" + version + "\r\nHost: a\r\n" + line + "\r\n");
    ASSERT_EQ(parser.state(), State::kDone);
    EXPECT_EQ(parser.request().keeps_alive, expected) << version << " " << connection;
  }
}

TEST(RequestParser, LeavesTheBodiesOfUnknownMethods) {
  RequestParser parser(kMaxBody);
  const std::string bytes = "QUERY / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  EXPECT_EQ(parser.feed(bytes), bytes.size() - 3);
  EXPECT_EQ(parser.state(), State::kDone);
  EXPECT_TRUE(parser.leaves_body());
}

}  // namespace
}  // namespace fdllm::server
