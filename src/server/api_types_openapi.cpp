#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "fastdllm/options.h"

#include "base/check.h"
#include "engine/option_json.h"
#include "fields/messages.h"
#include "server/api_types.h"
#include "server/api_types_fields.h"
#include "server/api_types_neutral.h"

namespace fdllm::server {
namespace {

using Doc = nlohmann::ordered_json;

void add_range(const GenerateOption& option, Doc& schema) {
  const bool is_integer = option.kind == GenerateOption::Kind::kInteger;
  const NumberRange range = option.range.value_or(NumberRange{});
  if (is_integer && !option.range) {  // all that 64 bits hold, signed or not
    schema["minimum"] = std::numeric_limits<std::int64_t>::min();
    schema["maximum"] = std::numeric_limits<std::uint64_t>::max();
  } else if (is_integer) {
    schema["minimum"] = static_cast<std::int64_t>(range.least);
    schema["maximum"] = range.greatest == NumberRange::kOpen
                            ? std::numeric_limits<std::int32_t>::max()
                            : static_cast<std::int64_t>(range.greatest);
  } else {
    schema[range.above_least ? "exclusiveMinimum" : "minimum"] = range.least;
    if (range.greatest != NumberRange::kOpen) schema["maximum"] = range.greatest;
  }
}

/// The values of presets, as they are sent.
Doc preset_values() {
  Doc values;
  for (const Preset& preset : presets()) {
    GenerateOptions options;
    for (const Preset::Value& value : preset.values) {
      find_generate_option(value.option)->set(options, value.value);
    }
    const Doc all = options_json(options);
    for (const Preset::Value& value : preset.values) {
      const std::string field = find_generate_option(value.option)->field();
      values[std::string(preset.name)][field] = all[field];
    }
  }
  return values;
}

/// `x-group` and `x-common` say where a form may show it, `x-values` what presets stand for.
Doc option_schema(const GenerateOption& option) {
  using Kind = GenerateOption::Kind;
  Doc schema;
  const std::vector<std::string> words = option.words();
  if (option.kind == Kind::kTexts) {
    schema["anyOf"] = {{{"type", "null"}},
                       {{"type", "string"}, {"minLength", 1}},
                       {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}}};
  } else if (!words.empty()) {
    schema["enum"] = Doc::array({nullptr});
    for (const std::string& word : words) schema["enum"].push_back(word);
  } else {
    const char* type = option.kind == Kind::kInteger  ? "integer"
                       : option.kind == Kind::kNumber ? "number"
                       : option.kind == Kind::kFlag   ? "boolean"
                                                      : "string";
    schema["type"] = {type, "null"};
  }
  if (option.kind == Kind::kInteger || option.kind == Kind::kNumber) add_range(option, schema);
  if (!option.otherwise.empty()) {
    const bool is_text = option.kind == Kind::kText;
    schema["default"] = is_text ? Doc(option.otherwise) : Doc::parse(option.otherwise);
  }
  schema["description"] = option.help;
  schema["x-group"] = option.group;
  if (option.common) schema["x-common"] = true;
  if (option.name == "preset") schema["x-values"] = preset_values();
  return schema;
}

/// The unmask rules of the served model, for a form that offers them.
Doc rules_doc(const ModelInfo& info) {
  Doc rules = Doc::array();
  for (const RuleInfo& rule : info.rules) {
    rules.push_back({{"name", rule.name},
                     {"description", rule.summary},
                     {"chosen_by", rule.chosen_by},
                     {"numbers", rule.numbers}});
  }
  return rules;
}

/// The schema of a body that generates, with `own` fields of its endpoint.
Doc generation_schema(Endpoint endpoint, Doc own, const std::vector<std::string>& required) {
  Doc properties = std::move(own);
  for (const Field& field : generation_fields()) {
    if ((field.endpoints & endpoint) == 0) continue;
    properties[std::string(field.name)] = Doc::parse(field.schema);
  }
  for (const GenerateOption& option : generate_options()) {
    // Some are fields that take more than the option does.
    Doc& property = properties[option.field()];
    Doc schema = option_schema(option);
    schema.update(property.is_null() ? Doc::object() : property);
    property = std::move(schema);
  }
  for (const NeutralField& field : neutral_fields()) {
    if ((field.endpoints & endpoint) == 0) continue;
    properties[std::string(field.name)] = Doc(neutral_schema(field));
  }
  Doc schema = {{"type", "object"}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = required;
  schema["properties"] = std::move(properties);
  return schema;
}

Doc reference(std::string_view name) {
  return {{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

Doc json_content(Doc schema) {
  return {{"application/json", {{"schema", std::move(schema)}}}};
}

Doc response(std::string_view description, Doc content) {
  return {{"description", description}, {"content", std::move(content)}};
}

void add_errors(Doc& responses, std::initializer_list<std::pair<const char*, const char*>> errors) {
  for (const auto& [status, description] : errors) {
    responses[status] = response(description, json_content(reference("Error")));
  }
}

Doc post(std::string_view summary, Doc body, Doc ok_content) {
  Doc responses;
  responses["200"] = response("The answer.", std::move(ok_content));
  add_errors(responses,
             {{"400", "A field is unknown, contradicts others or is out of range."},
              {"401", "The API key is missing or wrong."},
              {"404", "The model isn't the served one."},
              {"413", "The body is too large."},
              {"415", "The body is no JSON."},
              {"429", "Too many requests wait; Retry-After says when to come again."},
              {"503",
               "Memory, or the time before its turn, was too short, or the server is shutting "
               "down; Retry-After says when to come again."}});
  return {{"post",
           {{"summary", summary},
            {"security", Doc::array({Doc::object(), {{"key", Doc::array()}}})},
            {"requestBody", {{"required", true}, {"content", json_content(std::move(body))}}},
            {"responses", std::move(responses)}}}};
}

Doc generate(std::string_view summary, std::string_view request, std::string_view answer) {
  Doc content = json_content(reference(answer));
  content["text/event-stream"] = Doc::object();
  return post(summary, reference(request), std::move(content));
}

Doc get(std::string_view summary, Doc content, bool needs_key) {
  Doc responses;
  responses["200"] = response("The answer.", std::move(content));
  Doc operation = {{"summary", summary}};
  if (needs_key) {
    add_errors(responses, {{"401", "The API key is missing or wrong."}});
    operation["security"] = Doc::array({Doc::object(), {{"key", Doc::array()}}});
  }
  operation["responses"] = std::move(responses);
  return {{"get", std::move(operation)}};
}

constexpr std::string_view kPromptSchema = R"({"description":
  "a text, texts, token ids, or lists of token ids", "anyOf": [
  {"type": "string"},
  {"type": "array", "minItems": 1, "maxItems": 128, "items": {"type": "string"}},
  {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TokenId"}},
  {"type": "array", "minItems": 1, "maxItems": 128, "items":
   {"type": "array", "items": {"$ref": "#/components/schemas/TokenId"}}}]})";

constexpr std::string_view kPartsSchema = R"({"type": ["array", "null"], "minItems": 1,
  "maxItems": 8192, "contains": {"type": "object"}, "items": {"anyOf": [{"type": "string"},
  {"type": "object", "additionalProperties": false, "required": ["hole"],
   "description": "a number of tokens, or a least and a greatest one",
   "properties": {"hole": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1048576},
    {"type": "string", "pattern": "^[1-9][0-9]{0,5}(-[1-9][0-9]{0,5})?$"},
    {"type": "array", "minItems": 2, "maxItems": 2,
     "items": {"type": "integer", "minimum": 1, "maximum": 1048576}}]}}}]}})";

constexpr std::string_view kExtraSchema = R"({"type": ["array", "null"], "maxItems": 256,
  "description": "texts that stand before the prefix", "items": {"type": "object",
   "required": ["text"],
   "properties": {"filename": {"type": "string"}, "text": {"type": "string"}}}})";

constexpr std::string_view kUsageSchema = R"({"type": "object", "required":
  ["prompt_tokens", "completion_tokens", "total_tokens", "forwards", "refresh_forwards"],
  "properties": {
    "prompt_tokens": {"type": "integer"}, "completion_tokens": {"type": "integer",
      "description": "before the end token"}, "total_tokens": {"type": "integer"},
    "forwards": {"type": "integer", "description": "forwards of the model, over all choices"},
    "refresh_forwards": {"type": "integer", "description": "those over the whole canvas"},
    "seconds": {"type": "number"}, "tokens_per_second": {"type": "number"}}})";

constexpr std::string_view kErrorSchema = R"({"type": "object", "required": ["error"],
  "properties": {"error": {"type": "object", "required": ["message", "type", "param", "code"],
    "properties": {"message": {"type": "string"}, "type": {"type": "string"},
      "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}})";

Doc answer_schema() {
  return {{"type", "object"},
          {"required", {"id", "object", "created", "model", "choices", "usage"}},
          {"properties",
           {{"id", {{"type", "string"}}},
            {"object", {{"type", "string"}}},
            {"created", {{"type", "integer"}}},
            {"model", {{"type", "string"}}},
            {"choices", {{"type", "array"}, {"items", {{"type", "object"}}}}},
            {"usage", reference("Usage")}}}};
}

/// Exactly one of two fields, each named with the type that it has where it isn't null.
Doc either(const std::pair<std::string, std::string>& one,
           const std::pair<std::string, std::string>& other) {
  Doc choices = Doc::array();
  for (const auto& [name, type] : {one, other}) {
    choices.push_back({{"required", {name}}, {"properties", {{name, {{"type", type}}}}}});
  }
  return choices;
}

Doc text_or_null() {
  return {{"type", {"string", "null"}}};
}

Doc flag_or_null(bool otherwise) {
  return {{"type", {"boolean", "null"}}, {"default", otherwise}};
}

Doc completion_schema() {
  return generation_schema(
      kCompletion,
      {{"prompt", Doc::parse(kPromptSchema)},
       {"echo", {{"type", {"boolean", "null"}}}},
       {"add_special_tokens",
        {{"type", {"boolean", "null"}},
         {"description", "BOS and EOS around a text, as the model's files ask; default true"}}},
       {"suffix",
        {{"type", {"string", "null"}},
         {"description", "the answer is what is missing between prompt and suffix"}}}},
      {"prompt"});
}

Doc infill_schema() {
  const Doc holes = {
      {"type", {"string", "null"}},
      {"pattern", R"(<\|hole:[1-9][0-9]{0,5}(-[1-9][0-9]{0,5})?\|>)"},
      {"description",
       "text with holes: <|hole:8|> is one of 8 tokens, <|hole:2-6|> one of 2 to 6"}};
  Doc infill =
      generation_schema(kInfill, {{"text", holes}, {"parts", Doc::parse(kPartsSchema)}}, {});
  for (const char* name :
       {"gen_length", "max_tokens", "max_completion_tokens", "n_predict", "stop"}) {
    infill["properties"][name] = {{"type", "null"}};
  }
  infill["oneOf"] = either({"text", "string"}, {"parts", "array"});
  return infill;
}

Doc editor_schema() {
  Doc editor = generation_schema(
      kEditor,
      {{"input_prefix", text_or_null()},
       {"input_suffix", text_or_null()},
       {"prompt", {{"type", {"string", "null"}}, {"description", "how the answer begins"}}},
       {"input_extra", Doc::parse(kExtraSchema)}},
      {});
  editor["properties"]["n"] = {{"enum", {1, nullptr}}};
  editor["anyOf"] = {{{"required", {"input_prefix"}}}, {{"required", {"input_suffix"}}}};
  return editor;
}

Doc tokenize_schema(const Doc& messages) {
  Doc tokenize = {
      {"type", "object"},
      {"additionalProperties", false},
      {"oneOf", either({"prompt", "string"}, {"messages", "array"})},
      {"properties",
       {{"prompt", text_or_null()},
        {"messages", {{"anyOf", {{{"type", "null"}}, messages}}}},
        {"model", text_or_null()},
        {"add_generation_prompt", flag_or_null(true)},
        {"add_special_tokens",
         {{"type", {"boolean", "null"}},
          {"description",
           "BOS and EOS as the model's files ask; default true for a prompt, false for messages"}}},
        {"return_token_strs", flag_or_null(false)}}}};
  for (const NeutralField& field : neutral_fields()) {
    if ((field.endpoints & kTokenize) == 0) continue;
    tokenize["properties"][std::string(field.name)] = Doc(neutral_schema(field));
  }
  return tokenize;
}

Doc schemas(const ModelInfo& info) {
  const auto calls = info.reads_tool_calls ? fields::ToolCalls::kRead : fields::ToolCalls::kRefused;
  const Doc messages = fields::messages_schema(calls);
  Doc all;
  all["Error"] = Doc::parse(kErrorSchema);
  all["Usage"] = Doc::parse(kUsageSchema);
  all["Answer"] = answer_schema();
  all["ChatRequest"] = generation_schema(kChat, {{"messages", messages}}, {"messages"});
  all["CompletionRequest"] = completion_schema();
  all["InfillRequest"] = infill_schema();
  all["EditorRequest"] = editor_schema();
  all["TokenizeRequest"] = tokenize_schema(messages);
  all["DetokenizeRequest"] = {{"type", "object"},
                              {"additionalProperties", false},
                              {"required", {"tokens"}},
                              {"properties",
                               {{"tokens", {{"type", "array"}, {"items", reference("TokenId")}}},
                                {"model", text_or_null()}}}};
  all["TokenId"] = {{"type", "integer"}, {"minimum", 0}, {"maximum", info.vocab - 1}};
  return all;
}

}  // namespace

std::string openapi_json(const std::string& model, const ModelInfo& info) {
  const Doc object = {{"type", "object"}};
  const Doc json = json_content(object);
  const Doc text = {{"text/plain", {{"schema", {{"type", "string"}}}}}};
  Doc doc;
  doc["openapi"] = "3.1.0";
  doc["info"] = {{"title", "fast-dllm"},
                 {"version", "1"},
                 {"description",
                  fmt::format("Diffusion language models behind OpenAI's API. Serves '{}'. Every "
                              "option of the engine is a field of the requests that generate.",
                              model)}};
  Doc& paths = doc["paths"];
  paths["/v1/chat/completions"] = generate("Answer a conversation", "ChatRequest", "Answer");
  paths["/v1/completions"] = generate("Continue texts", "CompletionRequest", "Answer");
  paths["/v1/infill"] = generate("Fill the holes of a text", "InfillRequest", "Answer");
  paths["/infill"] = post("What is missing between a prefix and a suffix, as llama.cpp answers it",
                          reference("EditorRequest"), json);
  paths["/v1/models"] = get("The served model", json, true);
  Doc& one_model = paths["/v1/models/{model}"] = get("A model", json, true);
  one_model["get"]["parameters"] = Doc::array(
      {{{"name", "model"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}});
  add_errors(one_model["get"]["responses"], {{"404", "There is no such model."}});
  paths["/tokenize"] = post("Token ids of a text", reference("TokenizeRequest"), json);
  paths["/detokenize"] = post("The text of token ids", reference("DetokenizeRequest"), json);
  paths["/tokenizer_info"] = get("Special tokens and the chat template", json, true);
  paths["/health"] = get("Whether the process is alive", json, false);
  paths["/ready"] = get("Whether requests are taken", json, false);
  add_errors(paths["/ready"]["get"]["responses"], {{"503", "The server is shutting down."}});
  paths["/metrics"] = get("Figures for Prometheus", text, true);
  doc["components"]["securitySchemes"]["key"] = {{"type", "http"}, {"scheme", "bearer"}};
  doc["components"]["schemas"] = schemas(info);
  doc["x-rules"] = rules_doc(info);
  doc["x-unused-options"] = Doc::array();
  for (const std::string& name : info.unused_options) {
    doc["x-unused-options"].push_back(find_generate_option(name)->field());
  }
  return doc.dump(1);
}

}  // namespace fdllm::server
