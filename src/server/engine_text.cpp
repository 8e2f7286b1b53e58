#include "server/engine_text.h"

namespace fdllm::server {

std::string text_of(const Engine& engine, std::span<const std::int32_t> ids,
                    SpecialTokens special) {
  return engine.detokenize(ids, special == SpecialTokens::kSkip);
}

}  // namespace fdllm::server
