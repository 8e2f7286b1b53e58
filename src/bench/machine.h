#pragma once
#include "fastdllm/options.h"

#include "backend/peak.h"

namespace fdllm::bench {

/// What the device, instruction set and threads of `options` can do at most; about a second.
MachinePeaks measure_machine(const EngineOptions& options);

/// The threads that options.threads means.
int thread_count(const EngineOptions& options);

}  // namespace fdllm::bench
