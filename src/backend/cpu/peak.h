#pragma once
#include "backend/peak.h"

namespace fdllm {

/// measure_peaks() of the processor.
MachinePeaks measure_cpu_peaks(const BackendOptions& options);

}  // namespace fdllm
