#include "server/paths.h"

#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

TEST(Paths, AreWhatClientsMean) {
  const std::pair<const char*, const char*> table[] = {
      {"/", "/"},
      {"//", "/"},
      {"/v1/models", "/v1/models"},
      {"/v1/models/", "/v1/models"},
      {"//v1///models//", "/v1/models"},
      {"/models", "/v1/models"},
      {"/models/a/b/", "/v1/models/a/b"},
      {"/chat/completions", "/v1/chat/completions"},
      {"/completions", "/v1/completions"},
      {"/infill/", "/infill"},
      {"/v1/v1/completions", "/v1/completions"},
      {"/v1/v1/v1/health", "/health"},
      {"/v1/tokenize", "/tokenize"},
      {"/tokenize/", "/tokenize"},
      {"/page/main.js", "/page/main.js"},
      {"/v1/", "/v1"},
      {"/v1/page/main.js", "/v1/page/main.js"},
      {"/nowhere/", "/nowhere"},
      {"*", "*"},
      {"", ""},
  };
  for (const auto& [path, expected] : table) EXPECT_EQ(served_path(routes(), path), expected);
}

TEST(Paths, NameASimilarOne) {
  EXPECT_EQ(similar_path(routes(), "/api/v1/chat/completions/"), "/v1/chat/completions");
  EXPECT_EQ(similar_path(routes(), "/openai/completions"), "/v1/completions");
  EXPECT_EQ(similar_path(routes(), "/api/metrics"), "/metrics");
  EXPECT_EQ(similar_path(routes(), "/nowhere"), "");
}

}  // namespace
}  // namespace fdllm::server
