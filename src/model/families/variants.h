#pragma once
#include <span>
#include <string_view>

#include "formats/checkpoint.h"

namespace fdllm {

/// Throws kUnsupported naming the key where a config.json asks for something that changes a
/// transformer's results and that no family here computes, under the names that public models use
/// for it: sliding windows, norms of q and k, experts, causal or block-wise attention, scaled or
/// capped logits, ... What only one family's code knows is checked by that family, which names the
/// keys that it does compute in `computed`.
void refuse_unknown_variants(const Metadata& config,
                             std::span<const std::string_view> computed = {});

}  // namespace fdllm
