#pragma once
#include <string_view>
#include <vector>

#include "decode/unmask/registry.h"

namespace fdllm {

/// The rules that serve a family, its default first.
std::vector<const UnmaskRule*> rules_of(ReferenceFamily family);

/// All numbers that rules and modifiers declare, each once.
const std::vector<const RuleNumber*>& rule_numbers();
/// The number of that name, with dashes or underscores, or nullptr.
const RuleNumber* find_rule_number(std::string_view name);
/// Whether it is a modifier's, beside any rule.
bool is_modifier(const RuleNumber& number);
/// Whether giving it picks a rule.
bool chooses_rule(const RuleNumber& number);

}  // namespace fdllm
