#include "cli/prompts.h"

#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "cli/template_warning.h"
#include "cli/typed_options.h"
#include "engine/option_json.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::json;

[[noreturn]] void bad_field(std::string_view where, std::string_view field,
                            std::string_view expected, const Json& found) {
  std::string text = found.dump(-1, ' ', true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  fail(ErrorCode::kInvalidArgument, "{}: '{}': expected {}, found {}", where, field, expected,
       text);
}

std::string text_field(const Json& value, std::string_view where, std::string_view field) {
  if (!value.is_string()) bad_field(where, field, "a string", value);
  return value.get<std::string>();
}

std::vector<std::int32_t> ids_field(const Json& value, std::string_view where) {
  if (!value.is_array()) bad_field(where, "prompt_ids", "a list of token ids", value);
  std::vector<std::int32_t> ids;
  ids.reserve(value.size());
  for (const Json& id : value) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0x7fffffffu) {
      bad_field(where, "prompt_ids", "token ids", id);
    }
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

std::vector<ChatMessage> messages_field(const Json& value, std::string_view where) {
  if (!value.is_array() || value.empty()) {
    bad_field(where, "messages", "a list of {role, content} that isn't empty", value);
  }
  std::vector<ChatMessage> messages;
  for (const Json& entry : value) {
    const bool whole = entry.is_object() && entry.size() == 2 && entry.contains("role") &&
                       entry.contains("content");
    if (!whole) bad_field(where, "messages", "{role, content}", entry);
    messages.push_back(
        {text_field(entry["role"], where, "role"), text_field(entry["content"], where, "content")});
    const std::string& role = messages.back().role;
    if (role != "system" && role != "user" && role != "assistant") {
      bad_field(where, "role", "system, user or assistant", entry["role"]);
    }
  }
  return messages;
}

void set_option(GenerateOptions& options, const GenerateOption& option, const Json& value,
                std::string_view where, std::string_view field) {
  const bool is_list = option.kind == GenerateOption::Kind::kTexts && value.is_array();
  for (const Json& entry : is_list ? value : Json::array({value})) {
    const std::optional<std::string> text = text_of_json(option, entry);
    if (!text) bad_field(where, field, json_type(option), entry);
    try {
      option.set(options, *text);
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", where, error.what());
    }
  }
}

PromptSpec parse_line(std::string_view line, const std::string& where, const PromptSpec& defaults) {
  Json object;
  try {
    object = parse_json(line, where, {.max_depth = 16, .duplicate_keys = DuplicateKeys::kReject});
  } catch (const Error& error) {
    fail(ErrorCode::kInvalidArgument, "{}", error.what());
  }
  if (!object.is_object()) {
    fail(ErrorCode::kInvalidArgument, "{}: expected an object, found {}", where,
         object.type_name());
  }
  PromptSpec spec = defaults;
  spec.where = where;
  spec.is_line = true;
  std::set<std::string_view> seen;
  int sources = 0;
  for (const auto& [field, value] : object.items()) {
    if (field == "id") {
      if (value.is_structured()) bad_field(where, field, "a string or a number", value);
      spec.id = value;
    } else if (field == "prompt") {
      spec.text = text_field(value, where, field);
      ++sources;
    } else if (field == "prompt_ids") {
      spec.ids = ids_field(value, where);
      ++sources;
    } else if (field == "messages") {
      spec.messages = messages_field(value, where);
      ++sources;
    } else if (field == "system") {
      spec.system = text_field(value, where, field);
    } else if (field == "raw") {
      if (!value.is_boolean()) bad_field(where, field, "true or false", value);
      spec.raw = value.get<bool>();
    } else if (const GenerateOption* option = find_generate_option(field)) {
      if (!seen.insert(option->name).second) {
        fail(ErrorCode::kInvalidArgument, "{}: '{}': the option is given twice", where, field);
      }
      if (!value.is_null()) set_option(spec.options, *option, value, where, field);
    } else {
      fail(ErrorCode::kInvalidArgument,
           "{}: '{}': unknown field; known are prompt, prompt_ids, messages, id, system, raw and "
           "the decoding options of fast-dllm generate --help-all",
           where, field);
    }
  }
  if (sources != 1) {
    fail(ErrorCode::kInvalidArgument,
         "{}: expected exactly one of 'prompt', 'prompt_ids' and 'messages', found {}", where,
         sources);
  }
  if (spec.ids || spec.messages) spec.raw = false;
  if (spec.messages && object.contains("system")) {
    fail(ErrorCode::kInvalidArgument,
         "{}: 'system': 'messages' holds the system message, give one of the two", where);
  }
  return spec;
}

}  // namespace

std::vector<std::int32_t> parse_token_ids(std::string_view text, std::string_view where) {
  std::vector<std::int32_t> ids;
  std::size_t at = 0;
  while (true) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view part = text.substr(at, end - at);
    while (!part.empty() && (part.front() == ' ' || part.front() == '\n')) part.remove_prefix(1);
    while (!part.empty() && (part.back() == ' ' || part.back() == '\n')) part.remove_suffix(1);
    std::int32_t id = -1;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc{} || stop != part.data() + part.size() || id < 0) {
      fail(ErrorCode::kInvalidArgument, "{}: expected token ids like 1,2,3, found '{}'", where,
           part);
    }
    ids.push_back(id);
    if (end == text.size()) return ids;
    at = end + 1;
  }
}

std::vector<PromptSpec> parse_prompt_lines(std::string_view text, std::string_view source,
                                           const PromptSpec& defaults) {
  std::vector<PromptSpec> specs;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      specs.push_back(parse_line(line, fmt::format("{}:{}", source, number), defaults));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  if (specs.empty()) fail(ErrorCode::kInvalidArgument, "{}: there is no prompt in it", source);
  return specs;
}

std::string read_text(const std::string& file) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail(ErrorCode::kNotFound, "{}: cannot be opened", file);
  std::string text(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>{});
  if (stream.bad()) fail(ErrorCode::kNotFound, "{}: cannot be read", file);
  return text;
}

ResolvedRequest make_request(const PromptSpec& spec, const Engine& engine) {
  GenerateRequest request;
  request.options = spec.options;
  try {
    if (spec.ids) {
      request.prompt_ids = *spec.ids;
    } else if (spec.text && (spec.raw || !engine.has_chat_template())) {
      if (!spec.raw && spec.system) {
        fail(ErrorCode::kInvalidArgument, "a system message needs a chat template, which {} lacks",
             engine.info().path);
      }
      if (!spec.raw) {
        warn_without_template(engine, "prompts go to the model as they are, as with --raw");
      }
      request.prompt_ids = engine.tokenize_prompt(*spec.text, AroundText::kAsFilesAsk);
    } else {
      std::vector<ChatMessage> messages;
      if (spec.messages) {
        messages = *spec.messages;
      } else {
        if (spec.system) messages.push_back({"system", *spec.system});
        messages.push_back({"user", *spec.text});
      }
      request.prompt_ids = engine.tokenize_prompt(engine.apply_chat_template(messages));
    }
    return engine.resolve(std::move(request));
  } catch (const Error& error) {
    // Fields of a line are named as they stand there, options as they were typed.
    const std::string message =
        spec.is_line ? std::string(error.what()) : with_typed_options(error.what());
    if (message.starts_with("--")) fail(error.code(), "{}", message);
    fail(error.code(), "{}: {}", spec.where, message);
  }
}

}  // namespace fdllm::cli
