#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "fields/messages.h"
#include "server/api_types.h"
#include "server/api_types_body.h"

namespace fdllm::server {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxPrompts = 128;

std::vector<Prompt> read_prompts(std::string_view field, const Json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  constexpr std::string_view kExpected =
      "a string, a list of strings, a list of token ids, or a list of such lists";
  if (!value.is_array() || value.empty()) bad_field(field, kExpected, value);
  if (value.front().is_number()) return {read_token_ids(field, value)};
  if (value.size() > kMaxPrompts) {
    bad_field(field, fmt::format("at most {} prompts", kMaxPrompts), Json(value.size()));
  }
  std::vector<Prompt> prompts;
  for (const Json& entry : value) {
    if (entry.is_string() && value.front().is_string()) {
      prompts.emplace_back(entry.get<std::string>());
    } else if (entry.is_array() && value.front().is_array()) {
      prompts.emplace_back(read_token_ids(field, entry));
    } else {
      bad_field(field, kExpected, value);
    }
  }
  return prompts;
}

}  // namespace

Json parse_object(std::string_view body) {
  Json object;
  try {
    object = parse_json(body, "body",
                        {.max_depth = kMaxDepth, .duplicate_keys = DuplicateKeys::kReject});
  } catch (const Error& error) {
    std::string message = error.what();
    message = message.substr(0, message.find("; was the file"));
    throw ApiError(400, message, "", "invalid_json");
  }
  if (!object.is_object()) bad_field("body", "a JSON object", object);
  return object;
}

ChatRequest parse_chat_request(std::string_view body) {
  auto request = parse_generation<ChatRequest>(
      body, kChat, [](ChatRequest& chat, std::string_view name, const Json& value) {
        if (name != "messages") return false;
        chat.messages = fields::read_messages(name, value);
        return true;
      });
  if (request.messages.empty()) {
    throw ApiError(400, "'messages': expected a list of {role, content}, found none", "messages");
  }
  return request;
}

CompletionRequest parse_completion_request(std::string_view body) {
  auto request = parse_generation<CompletionRequest>(
      body, kCompletion,
      [](CompletionRequest& completion, std::string_view name, const Json& value) {
        if (name == "prompt") {
          completion.prompts = read_prompts(name, value);
        } else if (name == "echo") {
          completion.echo = !value.is_null() && read_flag(name, value);
        } else if (name == "suffix") {
          if (!value.is_null()) completion.suffix = read_text(name, value);
        } else if (name == "add_special_tokens") {
          completion.add_special_tokens = value.is_null() || read_flag(name, value);
        } else {
          return false;
        }
        return true;
      });
  if (request.prompts.empty()) {
    throw ApiError(400, "'prompt': expected a string, strings or token ids, found none", "prompt");
  }
  if (request.echo && request.logprobs) {
    throw ApiError(400,
                   "'logprobs' contradicts 'echo': the prompt's tokens are given, not committed, "
                   "and a diffusion model has no left-to-right likelihood for them",
                   "logprobs", "unsupported_parameter");
  }
  return request;
}

namespace {

TokenizeRequest read_tokenize_request(std::string_view body) {
  TokenizeRequest request;
  const Json object = parse_object(body);
  for (const auto& [name, value] : object.items()) {
    if (name == "prompt") {
      if (!value.is_null()) request.prompt = read_text(name, value);
    } else if (name == "messages") {
      if (!value.is_null()) request.messages = fields::read_messages(name, value);
    } else if (name == "add_generation_prompt") {
      request.add_generation_prompt = value.is_null() || read_flag(name, value);
    } else if (name == "return_token_strs") {
      request.return_token_strs = !value.is_null() && read_flag(name, value);
    } else if (name == "add_special_tokens") {
      if (!value.is_null()) request.add_special_tokens = read_flag(name, value);
    } else if (name == "model") {
      if (!value.is_null()) read_text(name, value);
    } else if (!read_neutral_field(kTokenize, name, value)) {
      unknown_field(shown(name));
    }
  }
  if (request.prompt.has_value() == !request.messages.empty()) {
    throw ApiError(400, "'prompt': expected exactly one of 'prompt' and 'messages'", "prompt");
  }
  return request;
}

DetokenizeRequest read_detokenize_request(std::string_view body) {
  std::optional<std::vector<std::int32_t>> tokens;
  const Json object = parse_object(body);
  for (const auto& [name, value] : object.items()) {
    if (name == "tokens") {
      tokens = read_token_ids(name, value);
    } else if (name == "model") {
      if (!value.is_null()) read_text(name, value);
    } else {
      unknown_field(shown(name));
    }
  }
  if (!tokens) throw ApiError(400, "'tokens': expected a list of token ids, found none", "tokens");
  return {std::move(*tokens)};
}

}  // namespace

TokenizeRequest parse_tokenize_request(std::string_view body) {
  return with_api_errors([&] { return read_tokenize_request(body); });
}

DetokenizeRequest parse_detokenize_request(std::string_view body) {
  return with_api_errors([&] { return read_detokenize_request(body); });
}

}  // namespace fdllm::server
