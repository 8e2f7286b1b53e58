#pragma once
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fdllm {

/// As ChatMessage of the public header.
struct TemplateMessage {
  std::string role;
  std::string content;
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string content_json = {};
};

/// The texts of a tokenizer's special tokens by the names that transformers gives them in a
/// template: "bos_token", "pad_token", ...
using TemplateTokens = std::vector<std::pair<std::string, std::string>>;

/// A chat template in the language of jinja2, set up as transformers does: its immutable sandbox
/// with trim_blocks, lstrip_blocks, the tags break, continue and generation, `tojson` without HTML
/// escapes, raise_exception and strftime_now; `tools` and `documents` are none. Left out are the
/// tags that need other templates (include, import, extends, block), numbers beyond 64 bits and
/// what is random. A template that can't be read is no error until it is applied.
class ChatTemplate {
 public:
  /// `origin` names the template in messages ("chat_template.jinja").
  ChatTemplate(std::string origin, std::string source, TemplateTokens tokens);
  /// Stands for a template that can't be used since `problem`, which apply() throws.
  static ChatTemplate unusable(std::string problem);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// Why the template can't be used: what is wrong, the line, and what to do. Empty where it can.
  const std::string& problem() const;
  /// Whether messages may have tool calls.
  bool reads_tool_calls() const;

  /// The prompt of a conversation, of which the template gets what transformers would hand it, but
  /// for what it can't read: parts of a content become one text, "developer" becomes "system", and
  /// tool calls are refused (kUnsupported). Bounded work and output: a hostile template throws, it
  /// never hangs. Throws kInvalidArgument where the template itself refuses (raise_exception) or
  /// treats values as what they are not, kUnsupported or kCorruptFile for the template's own
  /// faults; all with the origin and the line. Invalid UTF-8 in a message becomes U+FFFD. `now` is
  /// what strftime_now writes, in local time.
  std::string apply(std::span<const TemplateMessage> messages, bool add_generation_prompt,
                    std::time_t now = std::time(nullptr)) const;
  /// The same with all variables in a JSON object; the special tokens come beside them.
  std::string apply_to_json(std::string_view variables, std::time_t now = std::time(nullptr)) const;
  const std::string& source() const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  bool shows_parts() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdllm
