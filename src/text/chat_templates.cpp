#include "text/chat_templates.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

#include "base/check.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/quote.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kDefault = "default";
constexpr const char* kKey = "chat_template";
/// Of names and files: more than any model has.
constexpr std::size_t kMaxTemplates = 100;

constexpr std::array kTokenNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};

Json read_json_object(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return Json::object();
  const std::string source = file.filename().string();
  Json json = parse_json(MappedFile::open(file).text(), source, {.dialect = JsonDialect::kPython});
  if (!json.is_object()) fail(ErrorCode::kCorruptFile, "{}: expected a JSON object", source);
  return json;
}

/// A token: its text, or an object that holds it; empty where absent.
std::string token_text(const Json& config, const char* name, const std::string& source) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) {
    return (*found)["content"].get<std::string>();
  }
  fail(ErrorCode::kCorruptFile, "{}: '{}': expected a string or an object with 'content'", source,
       name);
}

void add_template(ChatTemplates& templates, std::string name, const Json& source,
                  const std::string& origin) {
  if (!source.is_string()) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected a text as the template {}", origin, kKey,
         quote(name));
  }
  const std::string where = name == kDefault ? origin : origin + ": the template " + quote(name);
  const auto same = std::find_if(templates.all.begin(), templates.all.end(),
                                 [&](const auto& entry) { return entry.name == name; });
  ChatTemplates::Named entry{std::move(name), where, source.get<std::string>()};
  if (same != templates.all.end()) {
    *same = std::move(entry);
  } else {
    templates.all.push_back(std::move(entry));
  }
}

/// `chat_template` of a configuration, in any of its forms.
void add_configured(ChatTemplates& templates, const Json& config, const std::string& origin) {
  const auto found = config.find(kKey);
  if (found == config.end() || found->is_null()) return;
  if (found->size() > kMaxTemplates) {
    fail(ErrorCode::kUnsupported, "{}: '{}': expected at most {} templates, found {}", origin, kKey,
         kMaxTemplates, found->size());
  }
  if (found->is_string()) {
    add_template(templates, std::string(kDefault), *found, origin);
  } else if (found->is_object()) {
    for (const auto& [name, source] : found->items()) add_template(templates, name, source, origin);
  } else if (found->is_array()) {
    for (const Json& entry : *found) {
      if (!entry.is_object() || !entry.value("name", Json()).is_string()) {
        fail(ErrorCode::kCorruptFile,
             "{}: '{}': expected a list of objects with 'name' and 'template'", origin, kKey);
      }
      add_template(templates, entry["name"].get<std::string>(), entry.value("template", Json()),
                   origin);
    }
  } else {
    fail(ErrorCode::kCorruptFile,
         "{}: '{}': expected a text, a list of named templates or an object of them", origin, kKey);
  }
}

/// chat_template.jinja and additional_chat_templates/NAME.jinja, by name.
void add_files(ChatTemplates& templates, const std::filesystem::path& folder) {
  const auto add = [&](std::string name, const std::filesystem::path& file) {
    add_template(templates, std::move(name), std::string(MappedFile::open(file).text()),
                 std::filesystem::relative(file, folder).string());
  };
  if (std::filesystem::exists(folder / "chat_template.jinja")) {
    add(std::string(kDefault), folder / "chat_template.jinja");
  }
  std::vector<std::filesystem::path> files;
  std::error_code no_folder;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder / "additional_chat_templates", no_folder)) {
    if (entry.path().extension() == ".jinja" && files.size() < kMaxTemplates) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) add(file.stem().string(), file);
}

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + quote(name);
  return list;
}

ChatTemplate template_of_file(const ChatTemplates& templates, std::string_view choice) {
  const std::filesystem::path file(choice);
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    const std::string known = templates.all.empty()
                                  ? templates.origin + " has no template"
                                  : templates.origin + " has " + list_of(templates.names());
    fail(ErrorCode::kInvalidArgument,
         "--chat-template {}: expected the name of a template or a file; {}, and there is no such "
         "file",
         quote(choice), known);
  }
  return {std::string(choice), std::string(MappedFile::open(file).text()), templates.tokens};
}

}  // namespace

std::vector<std::string> ChatTemplates::names() const {
  std::vector<std::string> names;
  for (const Named& entry : all) names.push_back(entry.name);
  return names;
}

ChatTemplates read_chat_templates(const std::filesystem::path& folder) {
  ChatTemplates templates;
  templates.origin = folder.string();
  const Json config = read_json_object(folder / "tokenizer_config.json");
  const Json special = read_json_object(folder / "special_tokens_map.json");
  add_files(templates, folder);
  if (templates.all.empty()) add_configured(templates, config, "tokenizer_config.json");
  if (templates.all.empty()) {
    add_configured(templates, read_json_object(folder / "chat_template.json"),
                   "chat_template.json");
  }
  for (const char* name : kTokenNames) {
    std::string text = token_text(config, name, "tokenizer_config.json");
    // transformers passes only the special tokens that exist.
    if (text.empty() && !config.contains(name)) {
      text = token_text(special, name, "special_tokens_map.json");
    }
    if (!text.empty()) templates.tokens.emplace_back(name, std::move(text));
  }
  return templates;
}

std::optional<ChatTemplate> choose_chat_template(const ChatTemplates& templates,
                                                 std::string_view choice) {
  const auto find = [&](std::string_view name) {
    return std::find_if(templates.all.begin(), templates.all.end(),
                        [&](const auto& entry) { return entry.name == name; });
  };
  auto found = find(choice.empty() ? kDefault : choice);
  if (found == templates.all.end() && !choice.empty()) return template_of_file(templates, choice);
  if (found == templates.all.end()) {
    if (templates.all.empty()) return std::nullopt;
    if (templates.all.size() > 1) {
      return ChatTemplate::unusable(
          fmt::format("{}: has the chat templates {}, and none is named 'default'; choose one "
                      "(--chat-template NAME), or give the prompt as it is (--raw)",
                      templates.origin, list_of(templates.names())));
    }
    found = templates.all.begin();
  }
  return ChatTemplate(found->origin, found->source, templates.tokens);
}

}  // namespace fdllm
