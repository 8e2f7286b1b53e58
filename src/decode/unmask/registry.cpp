#include "decode/unmask/registry.h"

#include <array>

#include "decode/unmask/rules.h"

namespace fdllm {

std::span<const UnmaskRule* const> unmask_rules() {
  static constexpr std::array<const UnmaskRule*, 8> kRules = {
      &kThresholdRule,   &kQuotaRule,      &kFactorRule,  &kConfidenceThresholdRule,
      &kMaskgitPlusRule, &kTopkMarginRule, &kEntropyRule, &kOriginRule,
  };
  return kRules;
}

const UnmaskRule* find_unmask_rule(std::string_view name) {
  for (const UnmaskRule* rule : unmask_rules()) {
    if (rule->name == name) return rule;
  }
  return nullptr;
}

}  // namespace fdllm
