#include "server/auth.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

HttpRequest with_header(const std::string& name, const std::string& value) {
  HttpRequest request;
  request.headers.emplace_back(name, value);
  return request;
}

bool has_header(const HttpResponse& response, const std::string& name, const std::string& value) {
  return std::ranges::find(response.headers, std::pair(name, value)) != response.headers.end();
}

TEST(Auth, ComparesWholeKeys) {
  EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
  for (const char* wrong : {"", "secre", "secret2", "Secret", "secretsecret"}) {
    EXPECT_FALSE(equal_in_constant_time(wrong, "secret")) << wrong;
  }
  EXPECT_FALSE(equal_in_constant_time("a", ""));
}

TEST(Auth, WantsABearer) {
  EXPECT_TRUE(may_ask(HttpRequest{}, ""));
  EXPECT_FALSE(may_ask(HttpRequest{}, "key"));
  EXPECT_TRUE(may_ask(with_header("authorization", "Bearer key"), "key"));
  EXPECT_TRUE(may_ask(with_header("AUTHORIZATION", "bearer key"), "key"));
  EXPECT_TRUE(may_ask(with_header("Authorization", "BEARER   key"), "key"));
  EXPECT_TRUE(may_ask(with_header("Authorization", "Bearer \t key "), "key"));
  EXPECT_TRUE(may_ask(with_header("Authorization", "Bearer k%41y"), "k%41y"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Bearer kAy"), "k%41y"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Bearer KEY"), "key"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Bearer key key"), "key"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Bearerkey"), "key"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Bearer"), "key"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Bearer "), "key"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "key"), "key"));
  EXPECT_FALSE(may_ask(with_header("Authorization", "Basic key"), "key"));
}

TEST(Cors, IsOffUnlessAnOriginIsNamed) {
  HttpResponse response;
  add_cors(with_header("Origin", "http://a"), "", "POST", response);
  EXPECT_TRUE(response.headers.empty());
  add_cors(with_header("Origin", "http://b"), "http://a", "POST", response);
  EXPECT_FALSE(has_header(response, "Access-Control-Allow-Origin", "http://a"));
  add_cors(with_header("Origin", "http://a"), "http://a", "POST", response);
  EXPECT_TRUE(has_header(response, "Access-Control-Allow-Origin", "http://a"));
  EXPECT_FALSE(has_header(response, "Access-Control-Allow-Methods", "POST"));
}

TEST(Cors, AnswersPreflights) {
  HttpRequest request = with_header("Origin", "http://a");
  request.method = "OPTIONS";
  HttpResponse response;
  add_cors(request, "*", "POST, OPTIONS", response);
  EXPECT_TRUE(has_header(response, "Access-Control-Allow-Origin", "*"));
  EXPECT_TRUE(has_header(response, "Access-Control-Allow-Methods", "POST, OPTIONS"));
}

}  // namespace
}  // namespace fdllm::server
