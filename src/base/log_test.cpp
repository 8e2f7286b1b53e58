#include "base/log.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

class LogTest : public testing::Test {
 protected:
  void TearDown() override { set_log_sink({}); }
};

TEST_F(LogTest, DiscardsWithoutASink) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  log_warning("nobody listens");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(LogTest, CallsTheSink) {
  std::vector<std::pair<LogKind, std::string>> messages;
  set_log_sink([&](LogKind kind, std::string_view text) { messages.emplace_back(kind, text); });
  log_message(LogKind::kRequest, "{}");
  log_warning("slow: {}", "scalar");
  set_log_sink({});
  log_warning("not heard");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], std::pair(LogKind::kRequest, std::string("{}")));
  EXPECT_EQ(messages[1], std::pair(LogKind::kWarning, std::string("slow: scalar")));
}

TEST_F(LogTest, OneCallAtATime) {
  int calls = 0;  // unguarded: a data race would show under TSan
  set_log_sink([&](LogKind, std::string_view) { ++calls; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) log_warning("message {}", i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls, 4000);
}

}  // namespace
}  // namespace fdllm
