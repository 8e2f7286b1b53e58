#include "decode/stop.h"

#include <algorithm>

namespace fdllm {

std::optional<std::int32_t> settled_end(const Canvas& canvas,
                                        std::span<const std::int32_t> end_tokens) {
  const auto tokens = canvas.tokens();
  for (std::int32_t i = canvas.prompt_length(); i < canvas.answer_end(); ++i) {
    if (canvas.masked(i)) return std::nullopt;
    if (std::find(end_tokens.begin(), end_tokens.end(), tokens[i]) != end_tokens.end()) return i;
  }
  return std::nullopt;
}

}  // namespace fdllm
