#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fdllm {

struct TemplateMessage {
  std::string role;
  std::string content;
};

/// A chat template in the subset of Jinja that LLaDA's, Dream's, Qwen2.5's and Llama-3's use, set
/// up as transformers does (trim_blocks, lstrip_blocks; `tools` and `documents` are none). Tags if,
/// for, set, break and continue; whole numbers, strings, lists, dictionaries and namespaces.
class ChatTemplate {
 public:
  /// Throws kUnsupported or kCorruptFile with the line and the construct. An empty token is
  /// undefined in the template.
  ChatTemplate(std::string source, std::string_view bos_token, std::string_view eos_token);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// Bounded work and output: a hostile template throws, it never hangs. Filters, tests and methods
  /// outside the subset throw kUnsupported when they are reached, what the template itself refuses
  /// (raise_exception) kInvalidArgument. Invalid UTF-8 in a message becomes U+FFFD.
  std::string apply(std::span<const TemplateMessage> messages, bool add_generation_prompt) const;
  const std::string& source() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The chat template of chat_template.jinja, else of tokenizer_config.json (a string, or a list
/// with one named "default"); nullopt where there is none.
std::optional<ChatTemplate> read_chat_template(const std::filesystem::path& folder);

}  // namespace fdllm
