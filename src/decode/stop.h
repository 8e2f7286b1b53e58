#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "decode/canvas.h"

namespace fdllm {

/// The position of the first end token of the answer that no mask precedes, if there is one: then
/// nothing that is decoded later can change the text before it. The prompt doesn't count.
std::optional<std::int32_t> settled_end(const Canvas& canvas,
                                        std::span<const std::int32_t> end_tokens);

}  // namespace fdllm
