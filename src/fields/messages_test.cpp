#include "fields/messages.h"

#include <string>

#include <gtest/gtest.h>

#include "fields/values.h"

namespace fdllm::fields {
namespace {

ChatMessage read_one(const std::string& message) {
  return read_messages("messages", Json::parse("[" + message + "]")).front();
}

std::string field_of(const ChatMessage& message, const std::string& name) {
  for (const auto& [key, value] : message.fields) {
    if (key == name) return value;
  }
  return "";
}

TEST(Messages, KeepWhatChatTemplatesRead) {
  const ChatMessage tool =
      read_one(R"({"role": "tool", "content": "4", "tool_call_id": "c1", "name": "add"})");
  EXPECT_EQ(field_of(tool, "tool_call_id"), "\"c1\"");
  EXPECT_EQ(field_of(tool, "name"), "\"add\"");
  const ChatMessage answer =
      read_one(R"({"role": "assistant", "content": "4", "reasoning_content": "2 \"and\" 2"})");
  EXPECT_EQ(field_of(answer, "reasoning_content"), R"("2 \"and\" 2")");
  EXPECT_EQ(answer.content_json, "");
  EXPECT_TRUE(read_one(R"({"role": "user", "content": "x", "name": null})").fields.empty());
}

TEST(Messages, PartsAreATextAndAList) {
  const ChatMessage message = read_one(
      R"({"role": "user", "content": [{"type": "input_text", "text": "a\nb"},
          {"type": "thinking", "thinking": "hm"}, "é"]})");
  EXPECT_EQ(message.content, "a\nb\né");
  EXPECT_EQ(message.content_json,
            R"([{"type": "text", "text": "a\nb"},{"type": "text", "text": "é"}])");
}

TEST(Messages, ArgumentsOfToolCallsAreObjectsInTheirOrder) {
  const ChatMessage message = read_one(
      R"({"role": "assistant", "content": null, "tool_calls": [{"type": "function", "id": "c1",
          "index": 0, "function": {"arguments": "{\"b\": 1, \"a\": [null]}", "name": "f"}}]})");
  EXPECT_EQ(field_of(message, "tool_calls"),
            R"([{"id": "c1", "type": "function", "function": {"name": "f", )"
            R"("arguments": {"b": 1, "a": [null]}}}])");
  EXPECT_EQ(message.content_json, "null");
  const auto arguments = [](const std::string& given) {
    return field_of(read_one(R"({"role": "assistant", "tool_calls": [{"function": {"name": "f",
                                "arguments": )" +
                             given + "}}]}"),
                    "tool_calls");
  };
  EXPECT_EQ(arguments("{\"x\": 1}"), R"([{"function": {"name": "f", "arguments": {"x":1}}}])");
  EXPECT_EQ(arguments("\"\""), R"([{"function": {"name": "f", "arguments": {}}}])");
  // What a model wrote need not be JSON, nor an object.
  EXPECT_EQ(arguments(R"("{\"x\"")"), R"([{"function": {"name": "f", "arguments": "{\"x\""}}])");
  EXPECT_EQ(arguments(R"("[1]")"), R"([{"function": {"name": "f", "arguments": "[1]"}}])");
}

TEST(Messages, EmptyCallsAreNone) {
  // The schema says so too.
  for (const char* none : {"null", "[]", "{}", R"("")"}) {
    const ChatMessage message = read_one(
        std::string(R"({"role": "assistant", "content": "x", "tool_calls": )") + none + "}");
    EXPECT_TRUE(message.fields.empty()) << none;
  }
}

TEST(Messages, RefusalsNameTheField) {
  const auto refused = [](const std::string& fields) {
    try {
      read_one(R"({"role": "assistant", "content": "x", )" + fields + "}");
    } catch (const FieldError& error) {
      return error.field();
    }
    return std::string();
  };
  EXPECT_EQ(refused(R"("name": 5)"), "messages[0].name");
  EXPECT_EQ(refused(R"("reasoning_content": [])"), "messages[0].reasoning_content");
  EXPECT_EQ(refused(R"("tool_calls": 5)"), "messages[0].tool_calls");
  EXPECT_EQ(refused(R"("tool_calls": [{}])"), "messages[0].tool_calls[0]");
  EXPECT_EQ(refused(R"("tool_calls": [{"function": {}}])"), "messages[0].tool_calls[0].function");
  EXPECT_EQ(refused(R"("tool_calls": [{"function": {"name": "f", "arguments": 1}}])"),
            "messages[0].tool_calls[0].function.arguments");
  EXPECT_EQ(refused(R"("tool_calls": [{"id": 1, "function": {"name": "f"}}])"),
            "messages[0].tool_calls[0].id");
  EXPECT_EQ(refused(R"("tool_calls": [)" + std::string(300, ' ') + "0]"),
            "messages[0].tool_calls[0]");
  std::string many = R"("tool_calls": [{"function": {"name": "f"}})";
  for (int i = 0; i < 128; ++i) many += R"(, {"function": {"name": "f"}})";
  EXPECT_EQ(refused(many + "]"), "messages[0].tool_calls");
}

}  // namespace
}  // namespace fdllm::fields
