#include "fields/messages.h"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "fields/tool_calls.h"

namespace fdllm::fields {
namespace {

constexpr std::size_t kMaxMessages = 8192;
constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};
/// What a model would have to see, and can't: only empty ones pass.
constexpr std::array<std::string_view, 8> kUnreadable = {
    "function_call", "audio", "images", "image_url", "videos", "video_url", "files", "input_audio"};
/// Texts that chat templates read.
constexpr std::array<std::string_view, 3> kTexts = {"name", "reasoning_content", "tool_call_id"};

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
    throw FieldError(FieldError::Fault::kUnsupported, field,
                     fmt::format("the models here read text only, found a part of type {}",
                                 shown(type.get_ref<const std::string&>())));
  }
  const char* key = is_text ? "text" : "refusal";
  if (!part.contains(key)) bad_field(field, fmt::format("a part with '{}'", key), part);
  return read_text(fmt::format("{}.{}", field, key), part[key]);
}

std::string text_part(const std::string& text) {
  return fmt::format(R"({{"type": "text", "text": {}}})", Json(text).dump());
}

/// The texts of all parts, with line ends between them, as vLLM does; and the parts themselves for
/// templates that go through them.
void read_parts(const std::string& field, const Json& value, ChatMessage& message) {
  if (value.empty()) bad_field(field, "a string or a list of text parts that isn't empty", value);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string part = read_part(fmt::format("{}[{}]", field, i), value[i]);
    if (part.empty()) continue;
    message.content += (message.content.empty() ? "" : "\n") + part;
    message.content_json += (message.content_json.empty() ? "[" : ",") + text_part(part);
  }
  message.content_json += message.content_json.empty() ? "[]" : "]";
}

/// False for null.
bool read_content(const std::string& field, const Json& value, ChatMessage& message) {
  if (value.is_null()) return false;
  if (value.is_array()) {
    read_parts(field, value, message);
  } else if (value.is_string()) {
    message.content = value.get<std::string>();
  } else {
    bad_field(field, "a string or a list of text parts that isn't empty", value);
  }
  return true;
}

std::string read_role(const std::string& field, const Json& value) {
  std::string role = read_text(field, value);
  if (!is_one_of(kRoles, role)) {
    bad_field(field, "system, developer, user, assistant, tool or function", value);
  }
  return role;
}

/// What a template may read of a message besides its role and content.
void read_other(const std::string& field, std::string_view name, const Json& value,
                ChatMessage& message) {
  if (is_one_of(kUnreadable, name) && !is_empty(value)) {
    throw FieldError(FieldError::Fault::kUnsupported, field,
                     "the models here read text only; calls go into tool_calls");
  }
  if (value.is_null()) return;
  if (is_one_of(kTexts, name)) {
    message.fields.emplace_back(name, Json(read_text(field, value)).dump());
  } else if (name == "tool_calls" && !is_empty(value)) {
    message.fields.emplace_back(name, read_tool_calls(field, value));
  }
}

ChatMessage read_message(const std::string& field, const Json& value) {
  if (!value.is_object() || !value.contains("role")) bad_field(field, "{role, content}", value);
  ChatMessage message;
  message.role = read_role(field + ".role", value["role"]);
  bool has_content = false;
  for (const auto& [key, entry] : value.items()) {
    const bool is_known = key == "content" || key == "tool_calls" || is_one_of(kTexts, key) ||
                          is_one_of(kUnreadable, key);
    if (!is_known) continue;
    const std::string path = fmt::format("{}.{}", field, key);
    if (key == "content") {
      has_content = read_content(path, entry, message);
    } else {
      read_other(path, key, entry, message);
    }
  }
  if (has_content) return message;
  const auto is_calls = [](const auto& member) { return member.first == "tool_calls"; };
  const bool has_calls = std::ranges::any_of(message.fields, is_calls);
  const bool is_answer = message.role == "assistant";
  const Json refusal = value.value("refusal", Json());
  if (is_answer && refusal.is_string()) {
    message.content = refusal.get<std::string>();  // an answer that was refused has its text there
  } else if (is_answer && has_calls) {
    message.content_json = "null";  // templates ask whether there is any
  } else if (!value.contains("content")) {
    bad_field(field, "{role, content}", value);
  } else if (!is_answer) {
    bad_field(field + ".content", "a string or a list of text parts", value["content"]);
  }
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

Json messages_schema(ToolCalls calls) {
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
  for (const std::string_view name : kTexts) {
    properties[std::string(name)] = {{"type", {"string", "null"}}};
  }
  properties["tool_calls"] = tool_calls_schema();
  if (calls == ToolCalls::kRefused) properties["tool_calls"]["anyOf"][1]["maxItems"] = 0;
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

}  // namespace fdllm::fields
