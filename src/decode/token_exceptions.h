#pragma once
#include <vector>

#include "fastdllm/options.h"

#include "backend/score.h"
#include "decode/settings.h"

namespace fdllm {

/// The vocabulary ids that a request treats unlike the others: the mask token and ids without a
/// token are never committed; end tokens as the options say. Ascending, each once.
std::vector<TokenException> token_exceptions(const GenerateOptions& options,
                                             const DecodeTraits& traits);

}  // namespace fdllm
