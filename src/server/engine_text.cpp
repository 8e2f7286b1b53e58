#include "server/engine_text.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace fdllm::server {

std::string text_of(const Engine& engine, std::span<const std::int32_t> ids,
                    SpecialTokens special) {
  const std::int64_t vocabulary = engine.info().tokenizer_vocab;
  std::vector<std::int32_t> known;
  known.reserve(ids.size());
  std::ranges::copy_if(ids, std::back_inserter(known),
                       [vocabulary](std::int32_t id) { return id >= 0 && id < vocabulary; });
  return engine.detokenize(known, special == SpecialTokens::kSkip);
}

}  // namespace fdllm::server
