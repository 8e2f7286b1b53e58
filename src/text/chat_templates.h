#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace fdllm {

/// The chat templates that come with a model. Most have one, named "default".
struct ChatTemplates {
  struct Named {
    std::string name;
    std::string origin;  ///< where it came from, for messages
    std::string source;
  };
  std::string origin;  ///< the model, for messages
  std::vector<Named> all;
  TemplateTokens tokens;

  std::vector<std::string> names() const;
};

/// The templates of a folder: chat_template.jinja and additional_chat_templates/NAME.jinja, else
/// `chat_template` of tokenizer_config.json (a text, a list of names and templates, or an object),
/// else of chat_template.json; and the special tokens of tokenizer_config.json and
/// special_tokens_map.json. Throws kCorruptFile naming the file and the field.
ChatTemplates read_chat_templates(const std::filesystem::path& folder);

/// The template that `choice` names, a name of `templates` or else a file. Without a choice the one
/// named "default" or the only one; nullopt where there is none, and one that can't be used where
/// several have other names. Throws kInvalidArgument with the names for a choice that is neither.
std::optional<ChatTemplate> choose_chat_template(const ChatTemplates& templates,
                                                 std::string_view choice);

}  // namespace fdllm
