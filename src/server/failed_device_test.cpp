// What a server says when its device has stopped working.
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/failing_backend_testing.h"
#include "engine/load.h"
#include "server/router.h"

namespace fdllm::server {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class FailedDeviceTest : public ::testing::Test {
 protected:
  Engine load() {
    ModelSource source{.path = std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models/llada-nano"};
    source.make_backend = [this](const BackendOptions& options) {
      auto failing = std::make_unique<FailingBackend>(make_backend(options));
      backend_ = failing.get();
      return failing;
    };
    return EngineAccess::make(load_model(std::move(source), {.threads = 1}));
  }

  HttpResponse get(const std::string& path) { return send("GET", path, ""); }
  HttpResponse send(const std::string& method, const std::string& path, const std::string& body) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    return answer(context_, request);
  }

  FailingBackend* backend_ = nullptr;
  Engine engine_ = load();
  ServerOptions options_;
  Metrics metrics_;
  Service service_{engine_, {}};
  Context context_{.engine = engine_,
                   .service = service_,
                   .metrics = metrics_,
                   .options = options_,
                   .model = "nano",
                   .created = 1};
};

TEST_F(FailedDeviceTest, ProbesSayThatTheProcessMustBeStartedAnew) {
  const std::string chat = R"({"messages": [{"role": "user", "content": "Hi"}], "gen_length": 8})";
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(get("/ready").status, 200);
  // One failed forward is no failed device.
  backend_->fail_after(0, FailingBackend::Fault::kBroken);
  EXPECT_EQ(send("POST", "/v1/chat/completions", chat).status, 500);
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(get("/ready").status, 200);

  backend_->fail_after(0, FailingBackend::Fault::kBroken, true);
  EXPECT_EQ(send("POST", "/v1/chat/completions", chat).status, 500);
  // The answer comes first; then the loop tries the device once more.
  for (int i = 0; i < 1000 && !service_.state().device_failed; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (const char* path : {"/health", "/ready"}) {
    const HttpResponse response = get(path);
    EXPECT_EQ(response.status, 503) << path;
    EXPECT_EQ(Json::parse(response.body)["error"]["code"], "device_failed") << path;
  }
  EXPECT_THAT(get("/metrics").body, HasSubstr("fastdllm_device_failed 1"));
}

}  // namespace
}  // namespace fdllm::server
