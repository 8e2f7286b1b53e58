#include "text/chat_template.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "fastdllm/error.h"

#include "base/check.h"
#include "base/utf8.h"
#include "text/jinja/json_text.h"
#include "text/jinja/parser.h"
#include "text/jinja/renderer.h"

namespace fdllm {
namespace {

using Items = std::vector<std::pair<jinja::Value, jinja::Value>>;

/// Work that any rendering may take, and more for each byte that it is given.
constexpr std::size_t kBudget = 5'000'000;
constexpr std::size_t kBudgetPerByte = 16;

constexpr std::string_view kAdvice =
    "give the prompt as it is (--raw) or another template (--chat-template FILE)";

void put(Items& items, std::string_view name, jinja::Value value) {
  items.emplace_back(jinja::text_value(std::string(name)), std::move(value));
}

const jinja::Dict& json_object(std::string_view text, std::string_view source,
                               jinja::Runtime& runtime) {
  const jinja::Value value = jinja::from_json(text, source, runtime);
  const auto* dict = std::get_if<const jinja::Dict*>(&value);
  if (dict == nullptr) fail(ErrorCode::kInvalidArgument, "{}: expected a JSON object", source);
  return **dict;
}

/// What a template reads of messages, as far as that can be told from outside.
struct Abilities {
  bool developer = false;   ///< the role
  bool tool_calls = false;  ///< of a message
  bool parts = false;       ///< a content that is a list of texts
};

constexpr std::string_view kToolCalls = "tool_calls";

bool has_tool_calls(const TemplateMessage& message) {
  return std::ranges::any_of(message.fields,
                             [](const auto& field) { return field.first == kToolCalls; });
}

jinja::Value content_value(const TemplateMessage& message, const Abilities& abilities,
                           jinja::Runtime& runtime) {
  const bool is_list = message.content_json.starts_with('[');
  if (message.content_json.empty() || (is_list && !abilities.parts)) {
    return jinja::text_value(to_valid_utf8(message.content));
  }
  return jinja::from_json(message.content_json, "content", runtime);
}

jinja::Value message_value(const TemplateMessage& message, const Abilities& abilities,
                           jinja::Runtime& runtime) {
  // OpenAI's newer name for the system's role, which few templates know.
  const bool is_renamed = message.role == "developer" && !abilities.developer;
  Items items;
  put(items, "role", jinja::text_value(is_renamed ? "system" : to_valid_utf8(message.role)));
  put(items, "content", content_value(message, abilities, runtime));
  for (const auto& [name, value] : message.fields) {
    put(items, name, jinja::from_json(value, name, runtime));
  }
  return runtime.dict(std::move(items));
}

}  // namespace

struct ChatTemplate::Impl {
  std::string origin;
  std::string source;
  TemplateTokens tokens;
  jinja::Block block;
  std::string problem;
  ErrorCode problem_code = ErrorCode::kUnsupported;
  Abilities abilities;

  /// Runs the template with what `make_variables` gives, naming the origin in every error.
  template <typename MakeVariables>
  std::string run(std::size_t bytes, std::time_t now, MakeVariables&& make_variables) const {
    if (!problem.empty()) throw Error(problem_code, problem);
    jinja::Arena arena;
    jinja::Runtime runtime(arena, jinja::Budget(kBudget + kBudgetPerByte * (source.size() + bytes)),
                           now);
    try {
      Items items = make_variables(runtime);
      for (const auto& [name, text] : tokens)
        put(items, name, jinja::text_value(to_valid_utf8(text)));
      return jinja::render(block, *arena.dict(std::move(items)), runtime);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) {
        fail(error.code(), "{}: {}", origin, error.what());
      }
      fail(error.code(), "{}: {}; {}", origin, error.what(), kAdvice);
    }
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ChatTemplate::ChatTemplate(std::string origin, std::string source, TemplateTokens tokens)
    : impl_(std::make_unique<Impl>()) {
  impl_->origin = std::move(origin);
  impl_->source = std::move(source);
  impl_->tokens = std::move(tokens);
  try {
    impl_->block = jinja::parse(to_valid_utf8(impl_->source));
  } catch (const Error& error) {
    impl_->problem_code = error.code();
    impl_->problem = fmt::format("{}: the chat template can't be used: {}; {}", impl_->origin,
                                 error.what(), kAdvice);
    return;
  }
  const auto names = [&](std::string_view word) {
    return impl_->source.find(word) != std::string::npos;
  };
  impl_->abilities = {
      .developer = names("developer"), .tool_calls = names(kToolCalls), .parts = shows_parts()};
}

bool ChatTemplate::shows_parts() const {
  constexpr std::string_view kText = "a7f3";
  const TemplateMessage probe{
      "user", "", {}, fmt::format(R"([{{"type": "text", "text": "{}"}}])", kText)};
  impl_->abilities.parts = true;
  std::string shown;
  try {
    shown = apply(std::span(&probe, 1), false);
  } catch (const Error&) {
    return false;
  }
  // One that takes the list for a text prints it as Python would, or as JSON.
  return shown.find(kText) != std::string::npos && shown.find("'type'") == std::string::npos &&
         shown.find("\"type\"") == std::string::npos;
}

ChatTemplate ChatTemplate::unusable(std::string problem) {
  auto impl = std::make_unique<Impl>();
  impl->problem = std::move(problem);
  impl->problem_code = ErrorCode::kInvalidArgument;
  return ChatTemplate(std::move(impl));
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

const std::string& ChatTemplate::problem() const {
  return impl_->problem;
}

bool ChatTemplate::reads_tool_calls() const {
  return impl_->abilities.tool_calls;
}

const std::string& ChatTemplate::source() const {
  return impl_->source;
}

std::string ChatTemplate::apply(std::span<const TemplateMessage> messages,
                                bool add_generation_prompt, std::time_t now) const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const TemplateMessage& message = messages[i];
    if (!impl_->abilities.tool_calls && problem().empty() && has_tool_calls(message)) {
      fail(ErrorCode::kUnsupported,
           "'messages[{}].tool_calls': the model's chat template doesn't read calls of tools", i);
    }
    bytes += message.role.size() + message.content.size() + message.content_json.size() +
             sizeof(TemplateMessage);
    for (const auto& [name, value] : message.fields) bytes += 64 + name.size() + value.size();
  }
  return impl_->run(bytes, now, [&](jinja::Runtime& runtime) {
    std::vector<jinja::Value> list;
    for (const TemplateMessage& message : messages) {
      list.push_back(message_value(message, impl_->abilities, runtime));
    }
    Items items;
    put(items, "messages", runtime.arena().list(std::move(list)));
    put(items, "tools", jinja::None{});
    put(items, "documents", jinja::None{});
    put(items, "add_generation_prompt", add_generation_prompt);
    return items;
  });
}

std::string ChatTemplate::apply_to_json(std::string_view variables, std::time_t now) const {
  return impl_->run(4 * variables.size(), now, [&](jinja::Runtime& runtime) {
    return json_object(variables, "the template's variables", runtime).items;
  });
}

}  // namespace fdllm
