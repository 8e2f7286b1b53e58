#pragma once
#include "decode/unmask/rule.h"

namespace fdllm {

/// The rules, each in a file of its own; registry.cpp lists them.
extern const UnmaskRule kThresholdRule;
extern const UnmaskRule kQuotaRule;
extern const UnmaskRule kFactorRule;
extern const UnmaskRule kTokensPerForwardRule;
extern const UnmaskRule kDreamTokensPerForwardRule;
extern const UnmaskRule kFrechetRule;
extern const UnmaskRule kDreamFrechetRule;
extern const UnmaskRule kEntropyBoundRule;
extern const UnmaskRule kDreamEntropyBoundRule;
extern const UnmaskRule kMarginRule;
extern const UnmaskRule kDreamMarginRule;
extern const UnmaskRule kLocalLeapRule;
extern const UnmaskRule kDreamLocalLeapRule;
extern const UnmaskRule kConfidenceThresholdRule;
extern const UnmaskRule kMaskgitPlusRule;
extern const UnmaskRule kTopkMarginRule;
extern const UnmaskRule kEntropyRule;
extern const UnmaskRule kOriginRule;

}  // namespace fdllm
