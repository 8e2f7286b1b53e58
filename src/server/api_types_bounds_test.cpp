#include <ctime>
#include <string>

#include <gtest/gtest.h>

#include "server/api_types.h"

namespace fdllm::server {
namespace {

std::string chat_with(const std::string& fields) {
  return R"({"messages": [{"role": "user", "content": "Hi"}], )" + fields + "}";
}

/// What costs time is bounded in number, so that a refusal takes no longer than reading the body.
void expect_refused_soon(const std::string& body, const char* param) {
  SCOPED_TRACE(body.substr(0, 80));
  const std::clock_t begin = std::clock();
  try {
    parse_chat_request(body);
    ADD_FAILURE() << "was accepted";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.param.substr(0, 20), std::string(param).substr(0, 20));
    EXPECT_LT(error_json(error).size(), 600u);
  }
  // The time of this process, whatever else the machine does.
  const double taken = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_LT(taken, body.size() > 500000 ? 1.0 : 0.1);
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += (i == 0 ? "" : ",") + text;
  return all;
}

TEST(RequestBounds, ListsAreBoundedInNumber) {
  const std::string strings = "[" + repeated("\"a\"", 50000) + "]";
  expect_refused_soon(chat_with(R"("preset": "fast", "n": 64, "stop": )" + strings), "stop");
  expect_refused_soon(chat_with(R"("stop": )" + strings + R"(, "preset": "fast")"), "stop");
  expect_refused_soon(chat_with(R"("stop": ")" + std::string(2000, 'a') + "\""), "stop");
  expect_refused_soon(chat_with(R"("stop_token_ids": [)" + repeated("1", 50000) + "]"),
                      "stop_token_ids");
  expect_refused_soon(chat_with(R"("bad_words": )" + strings), "bad_words");
  expect_refused_soon(
      R"({"messages": [)" + repeated(R"({"role": "user", "content": ""})", 20000) + "]}",
      "messages");
  std::string biases;
  for (int i = 0; i < 5000; ++i) biases += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\": 0";
  expect_refused_soon(chat_with(R"("logit_bias": {)" + biases + "}"), "logit_bias");
  const ChatRequest chat = parse_chat_request(
      chat_with(R"("preset": "fast", "threshold": 0.5, "stop": [)" + repeated("\"a\"", 16) + "]"));
  EXPECT_EQ(chat.options.stop.size(), 16u);
  EXPECT_EQ(chat.options.rule.get("threshold"), 0.5);
  EXPECT_EQ(chat.options.preset, "fast");
}

TEST(RequestBounds, NoKeyOrValueComesBackWhole) {
  const std::string big(4000000, 'k');
  expect_refused_soon(chat_with("\"" + big + R"(": 1)"), big.c_str());
  expect_refused_soon(chat_with(R"("n": ")" + big + "\""), "n");
  expect_refused_soon(chat_with(R"("stream": true, "stream_options": {")" + big + R"(": 1})"),
                      ("stream_options." + big).c_str());
  expect_refused_soon(chat_with(R"("cache": ")" + big + "\""), "cache");
  expect_refused_soon(chat_with(R"("cache": [")" + big + "\"]"), "cache");
  expect_refused_soon(R"({"messages": [{"role": ")" + big + R"(", "content": ""}]})",
                      "messages[0].role");
  expect_refused_soon(
      R"({"messages": [{"role": "user", "content": [{"type": ")" + big + R"("}]}]})",
      "messages[0].content[0]");
  std::string wide;
  for (int i = 0; i < 100; ++i) wide += "\xC3\xA9";  // is cut at a character
  try {
    parse_chat_request(chat_with("\"a" + wide + R"(": 1)"));
    ADD_FAILURE() << "was accepted";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.param, "a" + wide.substr(0, 58) + "...");
  }
}

}  // namespace
}  // namespace fdllm::server
