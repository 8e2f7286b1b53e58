#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "fastdllm/engine.h"

namespace fdllm::server {

enum class SpecialTokens : std::uint8_t { kSkip, kShow };

/// Text of token ids, as Engine::detokenize() gives it.
std::string text_of(const Engine& engine, std::span<const std::int32_t> ids, SpecialTokens special);

}  // namespace fdllm::server
