#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "fastdllm/engine.h"

namespace fdllm::cli {

/// One thing to generate, before a model is known.
struct PromptSpec {
  std::string where;          ///< for messages: "--prompt" or "file:line"
  bool is_line = false;       ///< of a file, with options of its own
  nlohmann::ordered_json id;  ///< null where none was given
  /// Exactly one of the three is set.
  std::optional<std::string> text;
  std::optional<std::vector<std::int32_t>> ids;
  std::optional<std::vector<ChatMessage>> messages;
  bool raw = false;  ///< `text` as it is, without the chat template
  std::optional<std::string> system;
  GenerateOptions options;
};

/// "1,2,3" (blanks allowed). Throws kInvalidArgument naming `where`.
std::vector<std::int32_t> parse_token_ids(std::string_view text, std::string_view where);

/// Prompts from JSON lines: {prompt | prompt_ids | messages, id?, system?, raw?, any generate
/// option by its long name with - or _}. A line starts from `defaults` (its options, raw, system).
/// Throws kInvalidArgument naming `source`:line and the field.
std::vector<PromptSpec> parse_prompt_lines(std::string_view text, std::string_view source,
                                           const PromptSpec& defaults);

/// The whole of a file, or of stdin where it is "-". Throws kNotFound.
std::string read_text(const std::string& file);

/// Applies the model's chat template (unless raw), tokenizes and resolves. Errors of the prompt or
/// its options name spec.where.
ResolvedRequest make_request(const PromptSpec& spec, const Engine& engine);

}  // namespace fdllm::cli
