#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

namespace fdllm::server {

enum class SpecialTokens : std::uint8_t { kSkip, kShow };

/// Text of token ids, as Engine::detokenize() gives it.
std::string text_of(const Engine& engine, std::span<const std::int32_t> ids, SpecialTokens special);

/// Token ids of what must fit into the model's positions; more are an ApiError for `param`.
std::vector<std::int32_t> prompt_tokens(const Engine& engine, std::string_view text,
                                        AroundText around, const char* param);

}  // namespace fdllm::server
