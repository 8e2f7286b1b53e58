#pragma once
#include "decode/unmask/rule.h"

namespace fdllm {

/// Numbers that several rules take, each defined by the rule that it chooses.
extern const RuleNumber kThreshold;
extern const RuleNumber kSteps;  ///< of the schedule of any rule that has one

}  // namespace fdllm
