#include "server/engine_text.h"

#include <fmt/format.h>

#include "server/api_error.h"

namespace fdllm::server {

std::string text_of(const Engine& engine, std::span<const std::int32_t> ids,
                    SpecialTokens special) {
  return engine.detokenize(ids, special == SpecialTokens::kSkip);
}

std::vector<std::int32_t> prompt_tokens(const Engine& engine, std::string_view text,
                                        AroundText around, const char* param) {
  try {
    return engine.tokenize_prompt(text, around);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw ApiError(400, fmt::format("'{}': {}", param, error.what()), param,
                   "context_length_exceeded");
  }
}

}  // namespace fdllm::server
