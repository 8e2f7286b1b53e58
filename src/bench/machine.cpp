#include "bench/machine.h"

#include "base/cpu_features.h"
#include "engine/backend_options.h"

namespace fdllm::bench {

MachinePeaks measure_machine(const EngineOptions& options) {
  return measure_peaks(backend_options(options));
}

int thread_count(const EngineOptions& options) {
  return options.threads == 0 ? physical_cores() : options.threads;
}

}  // namespace fdllm::bench
