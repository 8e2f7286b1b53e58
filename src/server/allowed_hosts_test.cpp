#include "server/allowed_hosts.h"

#include <string>

#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

bool is_allowed(const std::string& host, const ServerOptions& options, bool is_loopback = true) {
  HttpRequest request;
  request.host = host;
  request.is_loopback = is_loopback;
  return is_host_allowed(request, options);
}

constexpr const char* kOwnNames[] = {
    "localhost",      "localhost:8080", "LocalHost", "localhost.", "a.localhost:1",    "127.0.0.1",
    "127.0.0.1:8080", "127.1.2.3",      "[::1]",     "[::1]:8080", "[0:0:0:0:0:0:0:1]"};
constexpr const char* kForeignNames[] = {
    "evil.example", "evil.example:8080", "localhost.evil.com", "xlocalhost", "127.0.0.1.evil.com",
    "127.evil.com", "127.0.0.1.nip.io",  "128.0.0.1",          "[::2]",      "192.168.1.5:8080"};

TEST(AllowedHosts, OnLoopbackOnlyItsNames) {
  const ServerOptions options;
  for (const char* host : kOwnNames) EXPECT_TRUE(is_allowed(host, options)) << host;
  for (const char* host : kForeignNames) EXPECT_FALSE(is_allowed(host, options)) << host;
  EXPECT_TRUE(is_allowed("", options));
}

TEST(AllowedHosts, AKeyOrTheNetworkNeedNoNames) {
  ServerOptions options;
  EXPECT_TRUE(is_allowed("my.proxy", options, false));
  options.api_key = "k";
  EXPECT_TRUE(is_allowed("my.proxy", options));
}

TEST(AllowedHosts, MayBeNamed) {
  ServerOptions options;
  options.host = "127.0.1.1";
  options.allowed_hosts = {"my.proxy", ".example.com", "fd00::1"};
  for (const char* host : {"MY.proxy", "my.proxy:443", "example.com", "a.B.example.com",
                           "[fd00::1]:1", "localhost:1", "127.0.1.1"}) {
    EXPECT_TRUE(is_allowed(host, options)) << host;
    EXPECT_TRUE(is_allowed(host, options, false)) << host;
  }
  for (const char* host : {"not.my.proxy", "myexample.com", "evil.example"}) {
    EXPECT_FALSE(is_allowed(host, options)) << host;
    EXPECT_FALSE(is_allowed(host, options, false)) << host;
  }
  // Probes of an orchestrator ask for an address.
  EXPECT_TRUE(is_allowed("10.1.2.3:8080", options, false));
  EXPECT_FALSE(is_allowed("10.1.2.3:8080", options, true));
  options.allowed_hosts = {"*"};
  EXPECT_TRUE(is_allowed("evil.example", options));
}

TEST(AllowedHosts, KnowsWhatCanBeNamed) {
  for (const char* text : {"a", "a.example", ".example.com", "*", "::1", "[::1]", "10.0.0.1"}) {
    EXPECT_TRUE(is_host_pattern(text)) << text;
  }
  for (const char* text : {"", ".", "http://a", "a:80", "a/b", "a b", "*.a", "a,b"}) {
    EXPECT_FALSE(is_host_pattern(text)) << text;
  }
}

}  // namespace
}  // namespace fdllm::server
