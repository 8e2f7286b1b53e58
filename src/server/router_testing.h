#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/router.h"

namespace fdllm::server {

/// The routes on the shipped model, without sockets.
class RouterTest : public ::testing::Test {
 protected:
  static Engine& engine() {
    static Engine loaded = [] {
      EngineOptions options;
      options.progress_seconds = 0;  // fast forwards are told about, too
      return Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano",
                          options);
    }();
    return loaded;
  }

  HttpResponse send(const std::string& method, const std::string& path,
                    const std::string& body = {}) {
    HttpRequest request = base_;
    request.method = method;
    request.path = path;
    request.body = body;
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    return answer(context_, request);
  }

  nlohmann::json post(const std::string& path, const std::string& body, int status = 200) {
    const HttpResponse response = send("POST", path, body);
    EXPECT_EQ(response.status, status) << response.body;
    return nlohmann::json::parse(response.body);
  }

  /// The data of the events of a streamed answer.
  std::vector<std::string> events(const std::string& path, const std::string& body) {
    const HttpResponse response = send("POST", path, body);
    EXPECT_EQ(response.content_type, "text/event-stream") << response.body;
    std::string text;
    if (response.stream) {
      EXPECT_TRUE(response.stream([&](std::string_view piece) {
        text += piece;
        return true;
      }));
    }
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find("\n\n", at);
      found.push_back(text.substr(at + 6, end - at - 6));
      at = end + 2;
    }
    return found;
  }

  HttpRequest base_;
  ServerOptions options_;
  Metrics metrics_;
  Service service_{engine(), {}, [this](const ForwardInfo& info) { metrics_.forward(info); }};
  Context context_{.engine = engine(),
                   .service = service_,
                   .metrics = metrics_,
                   .options = options_,
                   .model = "nano",
                   .created = 1};
};

}  // namespace fdllm::server
