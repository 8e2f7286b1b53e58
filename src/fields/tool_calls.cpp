#include "fields/tool_calls.h"

#include <fmt/format.h>

#include "base/json.h"

namespace fdllm::fields {
namespace {

constexpr std::size_t kMaxCalls = 128;
constexpr int kMaxDepth = 32;

void add_member(std::string& object, std::string_view name, const std::string& json) {
  object += fmt::format("{}{}: {}", object == "{" ? "" : ", ", Json(name).dump(), json);
}

/// The text of an object as it is, so that its keys stay in their order; other texts as a text.
std::string arguments_json(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty()) return "{}";
  try {
    if (parse_json(text, "arguments", {.max_depth = kMaxDepth}).is_object()) return text;
  } catch (const Error&) {  // what a model wrote need not be JSON
  }
  return value.dump();
}

std::string function_json(const std::string& field, const Json& value) {
  const bool is_named = value.is_object() && value.contains("name") && value["name"].is_string();
  if (!is_named) bad_field(field, "{name, arguments}", value);
  std::string json = "{";
  add_member(json, "name", value["name"].dump());
  if (value.contains("arguments")) {
    const Json& arguments = value["arguments"];
    const bool is_usable = arguments.is_object() || arguments.is_string();
    if (!is_usable) bad_field(field + ".arguments", "an object or its text", arguments);
    add_member(json, "arguments", arguments_json(arguments));
  }
  return json + "}";
}

std::string call_json(const std::string& field, const Json& value) {
  if (!value.is_object() || !value.contains("function")) {
    bad_field(field, "{id, type, function: {name, arguments}}", value);
  }
  std::string json = "{";
  for (const char* name : {"id", "type"}) {
    if (!value.contains(name) || value[name].is_null()) continue;
    add_member(json, name, Json(read_text(fmt::format("{}.{}", field, name), value[name])).dump());
  }
  add_member(json, "function", function_json(field + ".function", value["function"]));
  return json + "}";
}

}  // namespace

std::string read_tool_calls(std::string_view field, const Json& value) {
  read_list(field, "a list of calls {id, type, function}", value, kMaxCalls);
  std::string json;
  for (std::size_t i = 0; i < value.size(); ++i) {
    json += (json.empty() ? "[" : ", ") + call_json(fmt::format("{}[{}]", field, i), value[i]);
  }
  return json + "]";
}

Json tool_calls_schema() {
  return Json::parse(R"({"anyOf": [{"type": "null"}, {"type": "array", "maxItems": 128,
    "items": {"type": "object", "required": ["function"], "properties": {
      "id": {"type": ["string", "null"]}, "type": {"type": ["string", "null"]},
      "function": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"},
        "arguments": {"type": ["string", "object"]}}}}}},
    {"const": ""}, {"type": "object", "maxProperties": 0}]})");
}

}  // namespace fdllm::fields
