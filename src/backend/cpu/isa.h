#pragma once
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/peak_loops.h"

namespace fdllm::cpu {

/// Names of the tables that this build has and this machine can run, best first.
std::vector<std::string> available_isas();

/// The table called `name`; "auto" is the best one. Throws kInvalidArgument for an unknown name,
/// kUnsupported for one that this machine cannot run.
const KernelTable& select_kernels(const std::string& name);
/// The same for the loops that measure its peaks.
const PeakLoops& select_peak_loops(const std::string& name);

}  // namespace fdllm::cpu
