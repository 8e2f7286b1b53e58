#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/infill.h"

#include "server/api_types.h"
#include "server/context.h"

namespace fdllm::server {

/// An answer before it is generated.
struct PlannedAnswer {
  ResolvedRequest request;
  /// Of several answers to one choice the one whose tokens are the most probable is given.
  std::int32_t choice = 0;
  std::int32_t begin = 0;              ///< canvas position of the answer's first token
  std::int32_t max_tokens = 0;         ///< where the answer is cut; at most the canvas has
  std::vector<std::string> stop = {};  ///< where it is cut, too
  std::string before = {};             ///< text that is put before the answer (echo)
  /// Infill: what the canvas was made of, and the lengths of its holes.
  std::shared_ptr<const InfillText> text = {};
  std::vector<std::int32_t> lengths = {};
  bool truncated = false;  ///< an editor's text, of which only the part around the hole is taken
};

/// The tokens of a prompt, and the field that it came in.
struct PromptTokens {
  std::string field;
  std::vector<std::int32_t> ids;
};

/// A conversation by the model's chat template. Throws Error or ApiError.
std::string chat_text(const Context& context, const std::vector<ChatMessage>& messages,
                      bool add_generation_prompt);
/// Its tokens, with the beginning of an answer.
PromptTokens chat_prompt(const Context& context, const std::vector<ChatMessage>& messages);

/// The i-th answer to a prompt. Throws Error or ApiError for what the model can't do.
PlannedAnswer plan_answer(const Context& context, const GenerationFields& fields,
                          const PromptTokens& prompt, std::int32_t i);

/// The i-th text between a prompt and a suffix.
PlannedAnswer plan_middle(const Context& context, const GenerationFields& fields,
                          const PromptTokens& prompt, std::span<const std::int32_t> suffix,
                          std::int32_t i);
/// How many tokens a text between a prompt and a suffix has, where there is room for that many.
std::int32_t middle_length(const GenerationFields& fields);

/// The i-th filling of a text's holes: with every choice of their lengths.
std::vector<PlannedAnswer> plan_infill(const Context& context, const InfillRequest& fields,
                                       std::shared_ptr<const InfillText> text, std::int32_t i);

/// Throws ApiError unless the model that is asked for is the one that is served, and what is asked
/// of it is what it has.
void check_model(const Context& context, const GenerationFields& fields);

}  // namespace fdllm::server
