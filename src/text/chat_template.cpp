#include "text/chat_template.h"

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "text/jinja_parser.h"
#include "text/jinja_renderer.h"
#include "text/tokenizer.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

/// Work that any rendering may take, and more for each byte that it is given.
constexpr std::size_t kBudget = 5'000'000;
constexpr std::size_t kBudgetPerByte = 16;

/// A token of tokenizer_config.json: its text, or an object that holds it; empty where absent.
std::string token_text(const Json& config, const char* name, const std::string& source) {
  auto found = config.find(name);
  if (found == config.end() || found->is_null()) return {};
  if (found->is_object() && found->contains("content"))
    return token_text(*found, "content", source);
  if (!found->is_string()) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected a string or an object with 'content'", source,
         name);
  }
  return found->get<std::string>();
}

std::optional<std::string> template_text(const Json& config, const std::string& source) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array()) {
    for (const Json& entry : *found) {
      if (entry.is_object() && entry.value("name", Json()) == "default" &&
          entry.value("template", Json()).is_string()) {
        return entry["template"].get<std::string>();
      }
    }
  }
  fail(ErrorCode::kCorruptFile,
       "{}: 'chat_template': expected a string or a list with a template named 'default'", source);
}

}  // namespace

struct ChatTemplate::Impl {
  std::string source;
  std::string bos_token;
  std::string eos_token;
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string source, std::string_view bos_token,
                           std::string_view eos_token)
    : impl_(std::make_unique<Impl>()) {
  impl_->source = std::move(source);
  impl_->bos_token = to_valid_utf8(bos_token);
  impl_->eos_token = to_valid_utf8(eos_token);
  impl_->block = jinja::parse(to_valid_utf8(impl_->source));
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

const std::string& ChatTemplate::source() const {
  return impl_->source;
}

std::string ChatTemplate::apply(std::span<const TemplateMessage> messages,
                                bool add_generation_prompt) const {
  jinja::Arena arena;
  std::size_t bytes = impl_->source.size();
  std::vector<jinja::Value> list;
  for (const TemplateMessage& message : messages) {
    bytes += message.role.size() + message.content.size() + sizeof(TemplateMessage);
    list.emplace_back(arena.dict({{"role", jinja::text_value(to_valid_utf8(message.role))},
                                  {"content", jinja::text_value(to_valid_utf8(message.content))}}));
  }
  std::vector<std::pair<std::string, jinja::Value>> variables = {
      {"messages", arena.list(std::move(list))},
      {"add_generation_prompt", add_generation_prompt},
      {"tools", jinja::None{}},
      {"documents", jinja::None{}}};
  // transformers passes only the special tokens that exist.
  const auto add_token = [&](const char* name, const std::string& text) {
    if (!text.empty()) variables.emplace_back(name, jinja::text_value(text));
  };
  add_token("bos_token", impl_->bos_token);
  add_token("eos_token", impl_->eos_token);
  return jinja::render(impl_->block, *arena.dict(std::move(variables)), arena,
                       jinja::Budget(kBudget + kBudgetPerByte * bytes));
}

std::optional<ChatTemplate> read_chat_template(const std::filesystem::path& folder) {
  const std::filesystem::path config_file = folder / "tokenizer_config.json";
  const std::filesystem::path template_file = folder / "chat_template.jinja";
  const std::string source = config_file.filename().string();
  Json config = Json::object();
  if (std::filesystem::exists(config_file)) {
    config = parse_json(MappedFile::open(config_file).text(), source);
    if (!config.is_object()) {
      fail(ErrorCode::kCorruptFile, "{}: expected a JSON object", source);
    }
  }
  std::optional<std::string> text;
  if (std::filesystem::exists(template_file)) {
    text = MappedFile::open(template_file).text();
  } else {
    text = template_text(config, source);
  }
  if (!text) return std::nullopt;
  return ChatTemplate(std::move(*text), token_text(config, "bos_token", source),
                      token_text(config, "eos_token", source));
}

}  // namespace fdllm
