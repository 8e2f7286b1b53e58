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

/// A chat template in the subset of Jinja that LLaDA's, Dream's, Qwen2.5's and Llama-3's use.
class ChatTemplate {
 public:
  /// Throws kUnsupported or kCorruptFile with the line and the construct.
  ChatTemplate(std::string source, std::string bos_token, std::string eos_token);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// Bounded work and output: a hostile template throws, it never hangs.
  std::string apply(std::span<const TemplateMessage> messages, bool add_generation_prompt) const;
  const std::string& source() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The chat template of tokenizer_config.json (a string, or a list with one named "default"), or of
/// chat_template.jinja beside it; nullopt where there is none.
std::optional<ChatTemplate> read_chat_template(const std::filesystem::path& folder);

}  // namespace fdllm
