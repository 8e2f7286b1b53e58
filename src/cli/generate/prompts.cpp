#include "cli/generate/prompts.h"

#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "cli/generate/template_warning.h"
#include "cli/options/typed_options.h"
#include "engine/option_json.h"
#include "fields/messages.h"
#include "fields/values.h"

namespace fdllm::cli {
namespace {

using fields::bad_field;
using fields::Json;

void set_option(GenerateOptions& options, const GenerateOption& option, const Json& value,
                std::string_view where, std::string_view field) {
  const bool is_list = option.kind == GenerateOption::Kind::kTexts && value.is_array();
  for (const Json& entry : is_list ? value : Json::array({value})) {
    const std::optional<std::string> text = text_of_json(option, entry);
    if (!text) bad_field(field, json_type(option), entry);
    try {
      option.set(options, *text);
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", where, error.what());
    }
  }
}

/// Reads a field of a line that is no decoding option; false for other names.
bool read_own_field(PromptSpec& spec, const std::string& field, const Json& value) {
  if (field == "id") {
    if (value.is_structured()) bad_field(field, "a string or a number", value);
    spec.id = value;
  } else if (field == "prompt") {
    spec.text = fields::read_text(field, value);
  } else if (field == "prompt_ids") {
    spec.ids = fields::read_token_ids(field, value);
  } else if (field == "messages") {
    spec.messages = fields::read_messages(field, value);
  } else if (field == "system") {
    spec.system = fields::read_text(field, value);
  } else if (field == "raw") {
    spec.raw = fields::read_flag(field, value);
  } else {
    return false;
  }
  return true;
}

void read_field(PromptSpec& spec, const std::string& field, const Json& value,
                std::set<std::string_view>& seen) {
  if (read_own_field(spec, field, value)) return;
  const GenerateOption* option = find_generate_option(field);
  if (option == nullptr) {
    fail(ErrorCode::kInvalidArgument,
         "{}: '{}': unknown field; known are prompt, prompt_ids, messages, id, system, raw and "
         "the decoding options of fast-dllm generate --help-all",
         spec.where, fields::shown(field));
  }
  if (!seen.insert(option->name).second) {
    fail(ErrorCode::kInvalidArgument, "{}: '{}': the option is given twice", spec.where, field);
  }
  if (!value.is_null()) set_option(spec.options, *option, value, spec.where, field);
}

PromptSpec parse_line(std::string_view line, const std::string& where, const PromptSpec& defaults) {
  Json object;
  try {
    object = parse_json(line, where, {.max_depth = 32, .duplicate_keys = DuplicateKeys::kReject});
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
  for (const auto& [field, value] : object.items()) {
    try {
      read_field(spec, field, value, seen);
    } catch (const fields::FieldError& error) {
      fail(error.code(), "{}: {}", where, error.what());
    }
  }
  const int sources =
      int{spec.text.has_value()} + int{spec.ids.has_value()} + int{spec.messages.has_value()};
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
