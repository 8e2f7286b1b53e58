#include "decode/unmask/registry.h"

#include <array>

namespace fdllm {

// Each is defined in the file of its name.
extern const UnmaskRule kThresholdRule, kQuotaRule, kFactorRule, kTokensPerForwardRule;
extern const UnmaskRule kConfidenceThresholdRule, kOriginRule;
extern const UnmaskRule kMaskgitPlusRule, kTopkMarginRule, kEntropyRule;
extern const UnmaskRule kSdarDynamicRule, kSdarStaticRule, kSdarSequentialRule, kSdarEntropyRule;
extern const UnmaskRule kFastDllmV2Rule;
extern const UnmaskRule kFrechetRule;
extern const UnmaskRule kEntropyBoundRule;
extern const UnmaskRule kMarginRule;
extern const UnmaskRule kLocalLeapRule;
extern const UnmaskModifier kEarlyCommit;

std::span<const UnmaskRule* const> unmask_rules() {
  static constexpr std::array kRules = {
      &kThresholdRule,      &kQuotaRule,
      &kFactorRule,         &kConfidenceThresholdRule,
      &kOriginRule,         &kMaskgitPlusRule,
      &kTopkMarginRule,     &kEntropyRule,
      &kSdarDynamicRule,    &kSdarStaticRule,
      &kSdarSequentialRule, &kSdarEntropyRule,
      &kFastDllmV2Rule,     &kTokensPerForwardRule,
      &kFrechetRule,        &kEntropyBoundRule,
      &kMarginRule,         &kLocalLeapRule,
  };
  return kRules;
}

std::span<const UnmaskModifier* const> unmask_modifiers() {
  static constexpr std::array kModifiers = {&kEarlyCommit};
  return kModifiers;
}

}  // namespace fdllm
