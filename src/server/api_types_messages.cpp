#include "server/api_types_messages.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace fdllm::server {
namespace {

constexpr std::size_t kMaxMessages = 8192;
constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};
/// What a model would have to see, and can't: only empty ones pass.
constexpr std::array<std::string_view, 9> kUnreadable = {
    "tool_calls", "function_call", "audio", "images",     "image_url",
    "videos",     "video_url",     "files", "input_audio"};

template <typename Names>
bool is_one_of(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_empty(const Json& value) {
  return value.is_null() || value == "" || (value.is_structured() && value.empty());
}

/// The text of a part of a message; none for the ones a model thought to itself in.
std::string read_part(const std::string& field, const Json& part) {
  if (part.is_string()) return part.get<std::string>();
  const Json type = part.is_object() ? part.value("type", Json()) : Json();
  if (!type.is_string()) bad_field(field, "a part {\"type\": \"text\", \"text\": \"...\"}", part);
  if (type == "reasoning" || type == "thinking" || type == "redacted_thinking") return "";
  const bool is_text = type == "text" || type == "input_text" || type == "output_text";
  if (!is_text && type != "refusal") {
    refuse_parameter(field,
                     fmt::format("the models served here read text only, found a part of type {}",
                                 shown(type.get_ref<const std::string&>())));
  }
  const char* key = is_text ? "text" : "refusal";
  if (!part.contains(key)) bad_field(field, fmt::format("a part with '{}'", key), part);
  return read_text(fmt::format("{}.{}", field, key), part[key]);
}

/// nullopt for null.
std::optional<std::string> read_content(const std::string& field, const Json& value) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array() || value.empty()) {
    bad_field(field, "a string or a list of text parts that isn't empty", value);
  }
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string part = read_part(fmt::format("{}[{}]", field, i), value[i]);
    if (!text.empty() && !part.empty()) text += '\n';
    text += part;
  }
  return text;
}

std::string read_role(const std::string& field, const Json& value) {
  std::string role = read_text(field, value);
  if (!is_one_of(kRoles, role)) {
    bad_field(field, "system, developer, user, assistant, tool or function", value);
  }
  return role;
}

ChatMessage read_message(const std::string& field, const Json& value) {
  if (!value.is_object() || !value.contains("role")) bad_field(field, "{role, content}", value);
  ChatMessage message;
  message.role = read_role(field + ".role", value["role"]);
  std::optional<std::string> content;
  for (const auto& [key, entry] : value.items()) {
    const auto path = [&, &name = key] { return fmt::format("{}.{}", field, name); };  // if known
    if (key == "content") {
      content = read_content(path(), entry);
    } else if (is_one_of(kUnreadable, key) && !is_empty(entry)) {
      refuse_parameter(path(), "the models served here read text only and have no tool calling");
    }
  }
  const bool is_answer = message.role == "assistant";
  if (!content && is_answer) {
    // An answer that was refused has its text there.
    const Json refusal = value.value("refusal", Json());
    if (refusal.is_string()) content = refusal.get<std::string>();
  }
  if (!value.contains("content") && !content) bad_field(field, "{role, content}", value);
  if (!content && !is_answer) {
    bad_field(field + ".content", "a string or a list of text parts", value["content"]);
  }
  message.content = std::move(content).value_or("");
  return message;
}

}  // namespace

std::vector<ChatMessage> read_messages(std::string_view field, const Json& value) {
  constexpr std::string_view kExpected = "a list of {role, content} that isn't empty";
  read_list(field, kExpected, value, kMaxMessages);
  if (value.empty()) bad_field(field, kExpected, value);
  std::vector<ChatMessage> messages;
  messages.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    messages.push_back(read_message(fmt::format("{}[{}]", field, i), value[i]));
  }
  return messages;
}

Json messages_schema() {
  Json properties = Json::parse(R"({
    "content": {"anyOf": [{"type": "string"}, {"type": "null"},
      {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"},
        {"type": "object", "required": ["type", "text"], "properties": {
          "type": {"enum": ["text", "input_text", "output_text"]}, "text": {"type": "string"}}},
        {"type": "object", "required": ["type", "refusal"], "properties": {
          "type": {"const": "refusal"}, "refusal": {"type": "string"}}},
        {"type": "object", "required": ["type"], "properties": {
          "type": {"enum": ["reasoning", "thinking", "redacted_thinking"]}}}]}}]}})");
  properties["role"] = {{"enum", kRoles}};
  for (const std::string_view name : kUnreadable) {
    properties[std::string(name)] = Json::parse(R"({"anyOf": [{"type": "null"}, {"const": ""},
      {"type": "array", "maxItems": 0}, {"type": "object", "maxProperties": 0}]})");
  }
  const Json not_an_answer = Json::parse(R"({"if": {"properties": {"role": {"not":
    {"const": "assistant"}}}}, "then": {"properties": {"content": {"not": {"type": "null"}}}}})");
  Json message = {{"type", "object"},
                  {"required", {"role", "content"}},
                  {"description", "other fields pass, without effect"},
                  {"properties", std::move(properties)}};
  message.update(not_an_answer);
  return {{"type", "array"},
          {"minItems", 1},
          {"maxItems", kMaxMessages},
          {"items", std::move(message)}};
}

}  // namespace fdllm::server
