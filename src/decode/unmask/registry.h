#pragma once
#include <span>
#include <string_view>

#include "decode/unmask/rule.h"

namespace fdllm {

/// All rules: threshold, quota, factor, tokens_per_forward (LLaDA); confidence_threshold,
/// maskgit_plus, topk_margin, entropy, origin, dream_tokens_per_forward (Dream).
std::span<const UnmaskRule* const> unmask_rules();

/// The rule of that name, or nullptr.
const UnmaskRule* find_unmask_rule(std::string_view name);

}  // namespace fdllm
