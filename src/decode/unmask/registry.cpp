#include "decode/unmask/registry.h"

#include <array>

#include "decode/unmask/rules.h"

namespace fdllm {

std::span<const UnmaskRule* const> unmask_rules() {
  static constexpr std::array<const UnmaskRule*, 18> kRules = {
      &kThresholdRule,
      &kQuotaRule,
      &kFactorRule,
      &kTokensPerForwardRule,
      &kConfidenceThresholdRule,
      &kMaskgitPlusRule,
      &kTopkMarginRule,
      &kEntropyRule,
      &kOriginRule,
      &kDreamTokensPerForwardRule,
      &kFrechetRule,
      &kDreamFrechetRule,
      &kEntropyBoundRule,
      &kDreamEntropyBoundRule,
      &kMarginRule,
      &kDreamMarginRule,
      &kLocalLeapRule,
      &kDreamLocalLeapRule,
  };
  return kRules;
}

double measured(Measure measure, const Score& score) {
  switch (measure) {
    case Measure::kProbability:
      return score.confidence;
    case Measure::kFilteredProbability:
      return score.filtered_confidence;
    case Measure::kMargin:
      return score.margin;
    case Measure::kEntropy:
      return score.entropy;
  }
  return 0;
}

const UnmaskRule* find_unmask_rule(std::string_view name) {
  for (const UnmaskRule* rule : unmask_rules()) {
    if (rule->name == name) return rule;
  }
  return nullptr;
}

}  // namespace fdllm
