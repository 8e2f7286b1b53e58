#include "server/api_types_fields.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "engine/option_json.h"

namespace fdllm::server {
namespace {

constexpr std::int32_t kMaxChoices = 128;
constexpr std::int32_t kMaxTokens = 1 << 24;
constexpr std::size_t kMaxListed = 1024;  // entries of logit_bias, stop_token_ids, ...

using Fields = GenerationFields;

void read_limit(Fields& fields, std::string_view name, const Json& value) {
  // llama.cpp's and LM Studio's word for no limit.
  if (value == -1) return;
  const std::int32_t count = read_integer(name, value, 1, kMaxTokens);
  if (fields.max_tokens && *fields.max_tokens != count) {
    throw ApiError(400,
                   fmt::format("'{}' contradicts '{}', another name for it; give only one of them",
                               name, fields.limit_name),
                   std::string(name));
  }
  fields.max_tokens = count;
  fields.limit_name = name;
}

void read_stream_options(Fields& fields, std::string_view name, const Json& value) {
  if (!value.is_object()) bad_field(name, "{include_usage, denoising}", value);
  for (const auto& [key, entry] : value.items()) {
    const std::string path = fmt::format("{}.{}", name, shown(key));
    if (key == "include_usage") {
      fields.include_usage = !entry.is_null() && read_flag(path, entry);
    } else if (key == "denoising") {
      fields.denoising = !entry.is_null() && read_flag(path, entry);
    } else if (key == "include_obfuscation" || key == "continuous_usage_stats") {
      if (!entry.is_null() && read_flag(path, entry)) refuse_parameter(path, "isn't offered");
    } else {
      throw ApiError(400, fmt::format("'{}': unknown field", path), path, "unknown_parameter");
    }
  }
}

void read_completion_logprobs(Fields& fields, std::string_view name, const Json& value) {
  if (value.is_boolean()) {
    fields.logprobs = value.get<bool>();
    return;
  }
  if (read_integer(name, value, 0, kMaxTokens) > 0) {
    refuse_parameter(
        name,
        "only 0 can be had, the logarithm of each token's confidence when it was committed: a "
        "diffusion model commits tokens in parallel and keeps no alternatives, and it has no "
        "left-to-right likelihood of a given text");
  }
  fields.logprobs = true;
}

/// Biases of 0 ask for nothing.
void read_logit_bias(Fields&, std::string_view name, const Json& value) {
  if (!value.is_object()) bad_field(name, "an object", value);
  if (value.size() > kMaxListed)
    bad_field(name, fmt::format("at most {} entries", kMaxListed), value);
  for (const auto& [key, bias] : value.items()) {
    if (bias.is_number() && bias == 0) continue;
    refuse_parameter(name,
                     "only an empty one, or biases of 0, can be had: logits are taken as they are");
  }
}

void read_stop_token_ids(Fields& fields, std::string_view name, const Json& value) {
  for (const Json& id : read_list(name, "a list of token ids", value, kMaxListed)) {
    fields.stop_token_ids.push_back(
        read_integer(name, id, 0, std::numeric_limits<std::int32_t>::max()));
  }
}

void read_tool_choice(Fields&, std::string_view name, const Json& value) {
  if (value != "none" && value != "auto") {
    refuse_parameter(name, "the models served here have no tool calling");
  }
}

void read_response_format(Fields&, std::string_view name, const Json& value) {
  if (!value.is_object() || !value.contains("type")) bad_field(name, "{\"type\": \"text\"}", value);
  if (value["type"] != "text") {
    refuse_parameter(
        name,
        "only type text can be had: tokens are committed out of order, which a grammar "
        "for JSON can't follow");
  }
}

void read_modalities(Fields&, std::string_view name, const Json& value) {
  if (value != Json::array({"text"})) refuse_parameter(name, "only [\"text\"] can be had");
}

void read_thinking(Fields&, std::string_view name, const Json& value) {
  if (!value.is_object() || value.value("type", Json()) != "disabled") {
    refuse_parameter(
        name, "only {\"type\": \"disabled\"} can be had: the models served here don't think aloud");
  }
}

void read_template_variables(Fields& fields, std::string_view name, const Json& value) {
  if (!value.is_object()) bad_field(name, "an object", value);
  if (value.size() > kMaxListed)
    bad_field(name, fmt::format("at most {} entries", kMaxListed), value);
  for (const auto& [key, entry] : value.items()) {
    if (!entry.is_null()) fields.template_variables.push_back(key);
  }
}

void set_option(Fields& fields, const GenerateOption& option, std::string_view field,
                const std::string& text) {
  try {
    option.set(fields.options, text);
  } catch (const Error& error) {
    throw ApiError(400, error.what(), std::string(field));
  }
}

void set_option(Fields& fields, std::string_view field, const std::string& text) {
  set_option(fields, *find_generate_option(field), field, text);
}

void read_top_k(Fields& fields, std::string_view name, const Json& value) {
  const std::int32_t count =
      read_integer(name, value, -1, std::numeric_limits<std::int32_t>::max());
  set_option(fields, name, std::to_string(std::max(count, 0)));
}

void add_stop(Fields& fields, std::string_view name, const Json& value) {
  const std::string text = read_text(name, value);
  if (text.empty() || count_characters(text) > kMaxStopLength) {
    bad_field(name,
              fmt::format("a string that isn't empty, of at most {} characters", kMaxStopLength),
              value);
  }
  set_option(fields, name, text);
}

void read_stop(Fields& fields, std::string_view name, const Json& value) {
  if (!value.is_array()) return add_stop(fields, name, value);
  for (const Json& entry : read_list(name, "a list", value, kMaxStops)) {
    add_stop(fields, name, entry);
  }
}

constexpr std::string_view kFlagSchema = R"({"type": ["boolean", "null"], "default": false})";
constexpr std::string_view kChoiceSchema = R"({"enum": ["none", "auto", null]})";
constexpr std::string_view kLimitSchema =
    R"({"type": ["integer", "null"], "anyOf": [{"minimum": 1}, {"const": -1}, {"type": "null"}],
        "maximum": 16777216, "description":
        "the answer is cut after that many tokens, which are gen_length too where that isn't given; -1: no limit"})";

constexpr Field kFields[] = {
    {"model", kAnyEndpoint,
     R"({"type": ["string", "null"], "description": "must be the served one"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.model = read_text(name, value);
     }},
    {"max_tokens", kAnyEndpoint, kLimitSchema, read_limit},
    {"max_completion_tokens", kAnyEndpoint, kLimitSchema, read_limit},
    {"n_predict", kAnyEndpoint, kLimitSchema, read_limit},
    {"min_tokens", kAnyEndpoint,
     R"({"type": ["integer", "null"], "minimum": 0, "maximum": 16777216, "description":
         "more than 0 only beside ignore_eos, up to max_tokens"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.min_tokens = read_integer(name, value, 0, kMaxTokens);
     }},
    {"n", kAnyEndpoint,
     R"({"type": ["integer", "null"], "minimum": 1, "maximum": 128, "default": 1, "description":
         "answers; the i-th one has the seed seed + i, so that they are all the same at temperature 0"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.n = read_integer(name, value, 1, kMaxChoices);
     }},
    {"best_of", kAnyEndpoint,
     R"({"type": ["integer", "null"], "minimum": 1, "maximum": 128, "description": "only n"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.best_of = read_integer(name, value, 1, kMaxChoices);
     }},
    {"stream", kAnyEndpoint, kFlagSchema,
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.stream = read_flag(name, value);
     }},
    {"stream_options", kAnyEndpoint,
     R"({"type": ["object", "null"], "additionalProperties": false, "properties": {
         "include_usage": {"type": ["boolean", "null"]},
         "include_obfuscation": {"enum": [false, null]},
         "continuous_usage_stats": {"enum": [false, null]},
         "denoising": {"type": ["boolean", "null"], "description": "a chunk for each step, with what it committed and what stays provisional; while a long forward runs, chunks with how many layers of it are done"}}})",
     read_stream_options},
    {"top_k", kAnyEndpoint,
     R"({"type": ["integer", "null"], "minimum": -1, "maximum": 2147483647, "description":
         "keep the K likeliest tokens; 0 and -1: all"})",
     read_top_k},
    {"stop", kAnyEndpoint,
     R"({"description": "up to 16 strings of up to 1024 characters; the answer ends before the first of them",
         "anyOf": [{"type": "null"}, {"type": "string", "minLength": 1, "maxLength": 1024},
         {"type": "array", "maxItems": 16,
          "items": {"type": "string", "minLength": 1, "maxLength": 1024}}]})",
     read_stop},
    {"stop_token_ids", kAnyEndpoint,
     R"({"type": ["array", "null"], "maxItems": 1024, "items": {"$ref": "#/components/schemas/TokenId"},
         "description": "only the model's own end tokens, which end an answer anyway"})",
     read_stop_token_ids},
    {"logprobs", kChat,
     R"({"type": ["boolean", "null"], "description": "the logarithm of each token's confidence when it was committed"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.logprobs = read_flag(name, value);
     }},
    {"logprobs", kCompletion,
     R"({"anyOf": [{"type": ["boolean", "null"]}, {"const": 0}], "description": "0 or true: the logarithm of each token's confidence when it was committed; there are no alternatives"})",
     read_completion_logprobs},
    {"logit_bias", kAnyEndpoint,
     R"({"type": ["object", "null"], "maxProperties": 1024, "additionalProperties": {"const": 0}, "description": "only biases of 0"})",
     read_logit_bias},
    {"tool_choice", kChat, kChoiceSchema, read_tool_choice},
    {"function_call", kChat, kChoiceSchema, read_tool_choice},
    {"response_format", kAnyEndpoint,
     R"({"type": ["object", "null"], "required": ["type"], "properties": {"type": {"const": "text"}}})",
     read_response_format},
    {"modalities", kChat, R"({"enum": [["text"], null]})", read_modalities},
    {"verbosity", kChat, R"({"enum": ["medium", null]})",
     [](Fields&, std::string_view name, const Json& value) {
       if (value != "medium")
         refuse_parameter(name, "only medium can be had: ask for it in a message");
     }},
    {"thinking", kChat,
     R"({"type": ["object", "null"], "required": ["type"], "properties": {"type": {"const": "disabled"}}})",
     read_thinking},
    {"chat_template_kwargs", kChat,
     R"({"type": ["object", "null"], "maxProperties": 1024, "description": "only names that the model's chat template doesn't use"})",
     read_template_variables},
    {"add_generation_prompt", kChat, R"({"enum": [true, null]})",
     [](Fields&, std::string_view name, const Json& value) {
       if (!read_flag(name, value)) refuse_parameter(name, "an answer follows its prompt");
     }},
    {"add_special_tokens", kChat, R"({"enum": [false, null]})",
     [](Fields&, std::string_view name, const Json& value) {
       if (read_flag(name, value))
         refuse_parameter(name, "a chat's special tokens are its template's");
     }},
};

/// The text that GenerateOption::set takes for a value of the option's kind.
std::string option_text(const GenerateOption& option, const Json& value) {
  const std::string field = option.field();
  std::optional<std::string> text = text_of_json(option, value);
  if (!text) bad_field(field, json_type(option), value);
  // No word of an option is that long; a message should not repeat it.
  const bool is_word = option.kind == GenerateOption::Kind::kText;
  if (is_word && *text != shown(*text)) bad_field(field, "one of the words that it takes", value);
  return std::move(*text);
}

}  // namespace

std::span<const Field> generation_fields() {
  return kFields;
}

bool read_generation_field(GenerationFields& fields, Endpoint endpoint, std::string_view name,
                           const Json& value) {
  for (const Field& field : kFields) {
    if (field.name != name || (field.endpoints & endpoint) == 0) continue;
    if (!value.is_null()) field.read(fields, name, value);
    return true;
  }
  if (name.find('-') != std::string_view::npos) return false;
  const GenerateOption* option = find_generate_option(name);
  if (option == nullptr) return false;
  if (value.is_null()) return true;
  set_option(fields, *option, name, option_text(*option, value));
  return true;
}

void check_generation_fields(const GenerationFields& fields) {
  if (!fields.stream && (fields.include_usage || fields.denoising)) {
    throw ApiError(400, "'stream_options': asks for chunks of a stream, but 'stream' isn't true",
                   "stream_options");
  }
  if (fields.min_tokens > 0 && !fields.options.ignore_eos) {
    refuse_parameter("min_tokens", "more than 0 can be had only beside ignore_eos");
  }
  if (fields.min_tokens > fields.max_tokens.value_or(fields.min_tokens)) {
    throw ApiError(400,
                   fmt::format("'min_tokens' contradicts '{}', which is less", fields.limit_name),
                   "min_tokens");
  }
  if (fields.best_of.value_or(fields.n) != fields.n) {
    refuse_parameter("best_of",
                     "only as many as n can be had: answers have no likelihood to choose by");
  }
}

}  // namespace fdllm::server
