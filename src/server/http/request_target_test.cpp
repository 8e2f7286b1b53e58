#include "server/http/request_target.h"

#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

std::string path(std::string_view target) {
  const auto parsed = parse_target(target);
  return parsed ? parsed->authority + "|" + parsed->path : "none";
}

TEST(RequestTarget, IsDecodedOnce) {
  EXPECT_EQ(path("/"), "|/");
  EXPECT_EQ(path("/a%20b?c=%41"), "|/a b");
  EXPECT_EQ(path("/%2541#x"), "|/%41");
  EXPECT_EQ(path("/%4"), "|/%4");
  EXPECT_EQ(path("/%zz%"), "|/%zz%");
  EXPECT_EQ(path("/a+b"), "|/a+b");
  EXPECT_EQ(path("*"), "|*");
  EXPECT_EQ(parse_target("/%00")->path, std::string("/\0", 2));
}

TEST(RequestTarget, MayBeAWholeUrl) {
  EXPECT_EQ(path("http://a:1/b?c"), "a:1|/b");
  EXPECT_EQ(path("HTTP://a"), "a|/");
  EXPECT_EQ(path("https://a?b"), "a|/");
  for (const char* wrong : {"", "a", "ftp://a/", "http:///a", "http:/a", "a:80", "**"}) {
    EXPECT_EQ(path(wrong), "none") << wrong;
  }
}

}  // namespace
}  // namespace fdllm::server
