#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "fastdllm/engine.h"

namespace fdllm::server {

enum class SpecialTokens : std::uint8_t { kSkip, kShow };

/// Text of token ids; those beyond the tokenizer's vocabulary, which a head may have rows for, have
/// none.
std::string text_of(const Engine& engine, std::span<const std::int32_t> ids, SpecialTokens special);

}  // namespace fdllm::server
