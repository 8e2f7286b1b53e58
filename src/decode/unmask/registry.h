#pragma once
#include <span>

#include "decode/unmask/rule.h"

namespace fdllm {

/// All rules and modifiers. The first rule that serves a family is its default. A new one is a file
/// of its own and a line in registry.cpp.
std::span<const UnmaskRule* const> unmask_rules();
std::span<const UnmaskModifier* const> unmask_modifiers();

}  // namespace fdllm
