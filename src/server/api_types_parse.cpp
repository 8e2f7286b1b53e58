#include <array>
#include <charconv>
#include <limits>

#include "base/check.h"
#include "base/json.h"
#include "server/api_types.h"
#include "server/api_types_fields.h"

namespace fdllm::server {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxPrompts = 128;
constexpr std::int32_t kMaxHole = 1 << 20;
constexpr std::int32_t kMaxId = std::numeric_limits<std::int32_t>::max();
constexpr std::string_view kHoleBegin = "<|hole:";
constexpr std::string_view kHoleEnd = "|>";

[[noreturn]] void unknown_field(std::string_view field) {
  std::string shown(field.substr(0, 60));
  throw ApiError(
      400, fmt::format("'{}': unknown field; /openapi.json lists those that are known", shown),
      shown, "unknown_parameter");
}

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

std::vector<std::int32_t> read_ids(std::string_view field, const Json& value) {
  if (!value.is_array()) bad_field(field, "a list of token ids", value);
  std::vector<std::int32_t> ids;
  ids.reserve(value.size());
  for (const Json& id : value) ids.push_back(read_integer(field, id, 0, kMaxId));
  return ids;
}

/// The text of a message: a string, or parts of type text.
std::string read_content(std::string_view field, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) bad_field(field, "a string or a list of text parts", value);
  std::string text;
  for (const Json& part : value) {
    const bool is_text = part.is_object() && part.value("type", Json()) == "text" &&
                         part.contains("text") && part["text"].is_string();
    if (!is_text) bad_field(field, "parts {\"type\": \"text\", \"text\": \"...\"} only", part);
    text += part["text"].get<std::string>();
  }
  return text;
}

ChatMessage read_message(const std::string& field, const Json& value) {
  if (!value.is_object()) bad_field(field, "{role, content}", value);
  ChatMessage message;
  bool has_content = false;
  for (const auto& [key, entry] : value.items()) {
    const std::string path = fmt::format("{}.{}", field, key);
    if (key == "role") {
      message.role = read_text(path, entry);
      if (message.role == "developer") message.role = "system";
      if (message.role != "system" && message.role != "user" && message.role != "assistant") {
        bad_field(path, "system, developer, user or assistant", entry);
      }
    } else if (key == "content") {
      message.content = read_content(path, entry);
      has_content = true;
    } else if (key == "name") {
      read_text(path, entry);
    } else if (!entry.is_null() && !(entry.is_array() && entry.empty())) {
      // Clients send answers back with all the fields that a message may have.
      throw ApiError(400, fmt::format("'{}': a message is {{role, content}} here", path), path,
                     "unsupported_parameter");
    }
  }
  if (message.role.empty() || !has_content) bad_field(field, "{role, content}", value);
  return message;
}

std::vector<ChatMessage> read_messages(std::string_view field, const Json& value) {
  if (!value.is_array() || value.empty()) {
    bad_field(field, "a list of {role, content} that isn't empty", value);
  }
  std::vector<ChatMessage> messages;
  messages.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    messages.push_back(read_message(fmt::format("{}[{}]", field, i), value[i]));
  }
  return messages;
}

std::vector<Prompt> read_prompts(std::string_view field, const Json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  constexpr std::string_view kExpected =
      "a string, a list of strings, a list of token ids, or a list of such lists";
  if (!value.is_array() || value.empty()) bad_field(field, kExpected, value);
  if (value.front().is_number()) return {read_ids(field, value)};
  if (value.size() > kMaxPrompts) {
    bad_field(field, fmt::format("at most {} prompts", kMaxPrompts), Json(value.size()));
  }
  std::vector<Prompt> prompts;
  for (const Json& entry : value) {
    if (entry.is_string() && value.front().is_string()) {
      prompts.emplace_back(entry.get<std::string>());
    } else if (entry.is_array() && value.front().is_array()) {
      prompts.emplace_back(read_ids(field, entry));
    } else {
      bad_field(field, kExpected, value);
    }
  }
  return prompts;
}

std::vector<InfillPart> read_parts(std::string_view field, const Json& value) {
  if (!value.is_array() || value.empty()) {
    bad_field(field, "a list of texts and {\"hole\": length} that isn't empty", value);
  }
  std::vector<InfillPart> parts;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", field, i);
    if (value[i].is_string()) {
      parts.emplace_back(value[i].get<std::string>());
    } else if (value[i].is_object() && value[i].size() == 1 && value[i].contains("hole")) {
      parts.emplace_back(read_integer(path + ".hole", value[i]["hole"], 1, kMaxHole));
    } else {
      bad_field(path, "a text or {\"hole\": length}", value[i]);
    }
  }
  return parts;
}

/// Reads every field of a body that generates; `own` reads those of its endpoint alone and says
/// whether it knows a name.
template <typename Request, typename Own>
Request parse_generation(std::string_view body, Endpoint endpoint, const Own& own) {
  Request request;
  const Json object = parse_object(body);
  for (const auto& [name, value] : object.items()) {
    if (own(request, name, value)) continue;
    if (!read_generation_field(request, endpoint, name, value)) unknown_field(name);
  }
  check_generation_fields(request);
  return request;
}

}  // namespace

ChatRequest parse_chat_request(std::string_view body) {
  auto request = parse_generation<ChatRequest>(
      body, kChat, [](ChatRequest& chat, std::string_view name, const Json& value) {
        if (name != "messages") return false;
        chat.messages = read_messages(name, value);
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

InfillRequest parse_infill_request(std::string_view body) {
  bool has_text = false;
  auto request = parse_generation<InfillRequest>(
      body, kInfill, [&](InfillRequest& infill, std::string_view name, const Json& value) {
        if (name != "text" && name != "parts") return false;
        if (!infill.parts.empty()) {
          throw ApiError(400, "'text' contradicts 'parts'; give only one of them",
                         std::string(name));
        }
        infill.parts =
            name == "text" ? parse_holes(read_text(name, value)) : read_parts(name, value);
        has_text = has_text || name == "text";
        return true;
      });
  const std::string field = has_text ? "text" : "parts";
  bool has_hole = false;
  for (const InfillPart& part : request.parts) has_hole |= std::holds_alternative<int>(part);
  if (!has_hole) {
    throw ApiError(400,
                   fmt::format("'{}': expected at least one hole, as in \"a <|hole:4|> b\" or "
                               "[\"a \", {{\"hole\": 4}}, \" b\"]",
                               field),
                   field);
  }
  if (request.has_gen_length || request.max_tokens) {
    const std::string name = request.has_gen_length ? "gen_length" : "max_tokens";
    throw ApiError(400, fmt::format("'{}': the holes have their own lengths; leave it out", name),
                   name);
  }
  if (!request.options.stop.empty()) {
    throw ApiError(400, "'stop': text after the holes is given and can't be cut; leave it out",
                   "stop");
  }
  return request;
}

std::vector<InfillPart> parse_holes(std::string_view text) {
  std::vector<InfillPart> parts;
  while (!text.empty()) {
    const std::size_t begin = text.find(kHoleBegin);
    if (begin > 0) parts.emplace_back(std::string(text.substr(0, begin)));
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin + kHoleBegin.size());
    std::int32_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (error != std::errc{} || length < 1 || length > kMaxHole || !text.starts_with(kHoleEnd)) {
      throw ApiError(400,
                     fmt::format("'text': expected a length from 1 to {} and '{}' after '{}'",
                                 kMaxHole, kHoleEnd, kHoleBegin),
                     "text");
    }
    text.remove_prefix(kHoleEnd.size());
    parts.emplace_back(length);
  }
  return parts;
}

TokenizeRequest parse_tokenize_request(std::string_view body) {
  TokenizeRequest request;
  const Json object = parse_object(body);
  for (const auto& [name, value] : object.items()) {
    if (name == "prompt") {
      request.prompt = read_text(name, value);
    } else if (name == "messages") {
      request.messages = read_messages(name, value);
    } else if (name == "add_generation_prompt") {
      request.add_generation_prompt = value.is_null() || read_flag(name, value);
    } else if (name == "return_token_strs") {
      request.return_token_strs = !value.is_null() && read_flag(name, value);
    } else if (name == "add_special_tokens") {
      if (!value.is_null()) request.add_special_tokens = read_flag(name, value);
    } else if (name == "model") {
      if (!value.is_null()) read_text(name, value);
    } else {
      unknown_field(name);
    }
  }
  if (request.prompt.has_value() == !request.messages.empty()) {
    throw ApiError(400, "'prompt': expected exactly one of 'prompt' and 'messages'", "prompt");
  }
  return request;
}

DetokenizeRequest parse_detokenize_request(std::string_view body) {
  std::optional<std::vector<std::int32_t>> tokens;
  const Json object = parse_object(body);
  for (const auto& [name, value] : object.items()) {
    if (name == "tokens") {
      tokens = read_ids(name, value);
    } else if (name == "model") {
      if (!value.is_null()) read_text(name, value);
    } else {
      unknown_field(name);
    }
  }
  if (!tokens) throw ApiError(400, "'tokens': expected a list of token ids, found none", "tokens");
  return {std::move(*tokens)};
}

}  // namespace fdllm::server
