#include "server/api_types_fields.h"

#include <limits>

#include "base/check.h"

namespace fdllm::server {
namespace {

constexpr std::int32_t kMaxChoices = 128;
constexpr std::int32_t kMaxTokens = 1 << 24;
constexpr std::size_t kShownBytes = 60;

using Fields = GenerationFields;

[[noreturn]] void refuse(std::string_view field, std::string_view reason) {
  throw ApiError(400, fmt::format("'{}': {}", field, reason), std::string(field),
                 "unsupported_parameter");
}

void read_max_tokens(Fields& fields, std::string_view name, const Json& value) {
  const std::int32_t count = read_integer(name, value, 1, kMaxTokens);
  if (fields.max_tokens && *fields.max_tokens != count) {
    throw ApiError(400,
                   "'max_tokens' contradicts 'max_completion_tokens', its new name; give only one "
                   "of them",
                   std::string(name));
  }
  fields.max_tokens = count;
}

void read_stream_options(Fields& fields, std::string_view name, const Json& value) {
  if (!value.is_object()) bad_field(name, "{include_usage, denoising}", value);
  for (const auto& [key, entry] : value.items()) {
    const std::string path = fmt::format("{}.{}", name, key);
    if (key == "include_usage") {
      fields.include_usage = !entry.is_null() && read_flag(path, entry);
    } else if (key == "denoising") {
      fields.denoising = !entry.is_null() && read_flag(path, entry);
    } else if (key == "include_obfuscation") {
      if (!entry.is_null() && read_flag(path, entry)) refuse(path, "isn't offered");
    } else {
      throw ApiError(400, fmt::format("'{}': unknown field", path), path, "unknown_parameter");
    }
  }
}

void read_penalty(Fields&, std::string_view name, const Json& value) {
  if (!value.is_number()) bad_field(name, "a number", value);
  if (value.get<double>() != 0) {
    refuse(name,
           "only 0 can be had: tokens are committed in parallel and in no fixed order, so there is "
           "no text so far whose tokens could be made less likely");
  }
}

void read_completion_logprobs(Fields& fields, std::string_view name, const Json& value) {
  if (value.is_boolean()) {
    fields.logprobs = value.get<bool>();
    return;
  }
  if (read_integer(name, value, 0, kMaxTokens) > 0) {
    refuse(name,
           "only 0 can be had, the logarithm of each token's confidence when it was committed: a "
           "diffusion model commits tokens in parallel and keeps no alternatives, and it has no "
           "left-to-right likelihood of a given text");
  }
  fields.logprobs = true;
}

void read_top_logprobs(Fields&, std::string_view name, const Json& value) {
  if (read_integer(name, value, 0, kMaxTokens) > 0) {
    refuse(name, "only 0 can be had: the model keeps no alternatives to a committed token");
  }
}

void read_empty(Fields&, std::string_view name, const Json& value) {
  const bool is_map = name == "logit_bias";
  if (is_map ? !value.is_object() : !value.is_array()) {
    bad_field(name, is_map ? "an object" : "a list", value);
  }
  if (!value.empty()) {
    refuse(name,
           is_map ? "only an empty one can be had" : "the models served here have no tool calling");
  }
}

void read_tool_choice(Fields&, std::string_view name, const Json& value) {
  if (value != "none" && value != "auto") {
    refuse(name, "the models served here have no tool calling");
  }
}

void read_response_format(Fields&, std::string_view name, const Json& value) {
  if (!value.is_object() || !value.contains("type")) bad_field(name, "{\"type\": \"text\"}", value);
  if (value["type"] != "text") {
    refuse(name,
           "only type text can be had: tokens are committed out of order, which a grammar "
           "for JSON can't follow");
  }
}

void read_suffix(Fields&, std::string_view name, const Json& value) {
  if (!read_text(name, value).empty()) {
    refuse(name, "text that is to be filled in goes to /v1/infill");
  }
}

void read_modalities(Fields&, std::string_view name, const Json& value) {
  if (value != Json::array({"text"})) refuse(name, "only [\"text\"] can be had");
}

void ignore_text(Fields&, std::string_view name, const Json& value) {
  read_text(name, value);
}

void ignore_flag(Fields&, std::string_view name, const Json& value) {
  read_flag(name, value);
}

void ignore_object(Fields&, std::string_view name, const Json& value) {
  if (!value.is_object()) bad_field(name, "an object", value);
}

constexpr std::string_view kTextSchema = R"({"type": ["string", "null"]})";
constexpr std::string_view kFlagSchema = R"({"type": ["boolean", "null"], "default": false})";
constexpr std::string_view kOnlyZeroSchema =
    R"({"type": ["number", "null"], "minimum": 0, "maximum": 0, "description": "only 0"})";
constexpr std::string_view kNoListSchema =
    R"({"type": ["array", "null"], "maxItems": 0, "description": "not supported"})";
constexpr std::string_view kLimitSchema =
    R"({"type": ["integer", "null"], "minimum": 1, "maximum": 16777216, "description":
        "the answer is cut after that many tokens, which are gen_length too where that isn't given"})";

constexpr Field kFields[] = {
    {"model", kAnyEndpoint,
     R"({"type": ["string", "null"], "description": "must be the served one"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.model = read_text(name, value);
     }},
    {"max_tokens", kAnyEndpoint, kLimitSchema, read_max_tokens},
    {"max_completion_tokens", kAnyEndpoint, kLimitSchema, read_max_tokens},
    {"n", kAnyEndpoint,
     R"({"type": ["integer", "null"], "minimum": 1, "maximum": 128, "default": 1, "description":
         "answers; the i-th one has the seed seed + i, so that they are all the same at temperature 0"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.n = read_integer(name, value, 1, kMaxChoices);
     }},
    {"stream", kAnyEndpoint, kFlagSchema,
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.stream = read_flag(name, value);
     }},
    {"stream_options", kAnyEndpoint,
     R"({"type": ["object", "null"], "additionalProperties": false, "properties": {
         "include_usage": {"type": ["boolean", "null"]},
         "include_obfuscation": {"type": ["boolean", "null"], "description": "only false"},
         "denoising": {"type": ["boolean", "null"], "description": "a chunk for each step, with what it committed and what stays provisional; while a long forward runs, chunks with how many layers of it are done"}}})",
     read_stream_options},
    {"logprobs", kChat,
     R"({"type": ["boolean", "null"], "description": "the logarithm of each token's confidence when it was committed"})",
     [](Fields& fields, std::string_view name, const Json& value) {
       fields.logprobs = read_flag(name, value);
     }},
    {"logprobs", kCompletion,
     R"({"type": ["integer", "boolean", "null"], "minimum": 0, "maximum": 0, "description": "0 or true: the logarithm of each token's confidence when it was committed; there are no alternatives"})",
     read_completion_logprobs},
    {"top_logprobs", kChat, kOnlyZeroSchema, read_top_logprobs},
    {"frequency_penalty", kChat | kCompletion, kOnlyZeroSchema, read_penalty},
    {"presence_penalty", kChat | kCompletion, kOnlyZeroSchema, read_penalty},
    {"logit_bias", kChat | kCompletion,
     R"({"type": ["object", "null"], "maxProperties": 0, "description": "not supported"})",
     read_empty},
    {"tools", kChat, kNoListSchema, read_empty},
    {"functions", kChat, kNoListSchema, read_empty},
    {"tool_choice", kChat, R"({"enum": ["none", "auto", null]})", read_tool_choice},
    {"function_call", kChat, R"({"enum": ["none", "auto", null]})", read_tool_choice},
    {"parallel_tool_calls", kChat, kFlagSchema, ignore_flag},
    {"response_format", kChat,
     R"({"type": ["object", "null"], "required": ["type"], "properties": {"type": {"const": "text"}}})",
     read_response_format},
    {"modalities", kChat, R"({"enum": [["text"], null]})", read_modalities},
    {"suffix", kCompletion,
     R"({"type": ["string", "null"], "maxLength": 0, "description": "not supported: see /v1/infill"})",
     read_suffix},
    {"best_of", kCompletion, R"({"enum": [1, null]})",
     [](Fields&, std::string_view name, const Json& value) { read_integer(name, value, 1, 1); }},
    {"user", kAnyEndpoint, kTextSchema, ignore_text},
    {"safety_identifier", kChat | kCompletion, kTextSchema, ignore_text},
    {"prompt_cache_key", kChat | kCompletion, kTextSchema, ignore_text},
    {"service_tier", kChat | kCompletion, kTextSchema, ignore_text},
    {"metadata", kChat | kCompletion, R"({"type": ["object", "null"]})", ignore_object},
    {"store", kChat | kCompletion, kFlagSchema, ignore_flag},
};

/// The text that GenerateOption::set takes for a value of the option's kind.
std::string option_text(std::string_view field, GenerateOption::Kind kind, const Json& value) {
  switch (kind) {
    case GenerateOption::Kind::kInteger:
      if (!value.is_number_integer()) bad_field(field, "an integer", value);
      return value.dump();
    case GenerateOption::Kind::kNumber:
      if (!value.is_number()) bad_field(field, "a number", value);
      return value.dump();
    case GenerateOption::Kind::kFlag:
      return read_flag(field, value) ? "true" : "false";
    case GenerateOption::Kind::kText:
    case GenerateOption::Kind::kTexts:
      break;
  }
  return read_text(field, value);
}

void set_option(GenerateOptions& options, const GenerateOption& option, std::string_view field,
                const Json& value) {
  const std::string text = option_text(field, option.kind, value);
  try {
    option.set(options, text);
  } catch (const Error& error) {
    // The message begins with the name on the command line.
    std::string_view message = error.what();
    const std::string prefix = fmt::format("--{}: ", option.name);
    if (message.starts_with(prefix)) message.remove_prefix(prefix.size());
    throw ApiError(400, fmt::format("'{}': {}", field, message), std::string(field));
  }
}

void read_option(Fields& fields, const GenerateOption& option, std::string_view field,
                 const Json& value) {
  if (option.kind == GenerateOption::Kind::kTexts && value.is_array()) {
    for (const Json& entry : value) set_option(fields.options, option, field, entry);
  } else {
    set_option(fields.options, option, field, value);
  }
  fields.has_gen_length |= field == "gen_length";
}

}  // namespace

std::span<const Field> generation_fields() {
  return kFields;
}

std::string field_name(const GenerateOption& option) {
  std::string name(option.name);
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
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
  if (!value.is_null()) read_option(fields, *option, name, value);
  return true;
}

void check_generation_fields(const GenerationFields& fields) {
  if (!fields.stream && (fields.include_usage || fields.denoising)) {
    throw ApiError(400, "'stream_options': asks for chunks of a stream, but 'stream' isn't true",
                   "stream_options");
  }
  if (fields.options.seed > std::numeric_limits<std::uint64_t>::max() - kMaxChoices &&
      fields.n > 1) {
    throw ApiError(400, "'seed': seed + n - 1 must fit into 64 bits", "seed");
  }
}

void bad_field(std::string_view field, std::string_view expected, const Json& found) {
  std::string text = found.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes - 3) + "...";
  throw ApiError(400, fmt::format("'{}': expected {}, found {}", field, expected, text),
                 std::string(field), "invalid_type");
}

std::string read_text(std::string_view field, const Json& value) {
  if (!value.is_string()) bad_field(field, "a string", value);
  return value.get<std::string>();
}

bool read_flag(std::string_view field, const Json& value) {
  if (!value.is_boolean()) bad_field(field, "true or false", value);
  return value.get<bool>();
}

std::int32_t read_integer(std::string_view field, const Json& value, std::int32_t least,
                          std::int32_t greatest) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(greatest)
                        : value.is_number_integer();
  if (!fits || value.get<std::int64_t>() < least) {
    bad_field(field, fmt::format("an integer from {} to {}", least, greatest), value);
  }
  return value.get<std::int32_t>();
}

}  // namespace fdllm::server
