#pragma once
#include <memory>

#include "backend/backend.h"
#include "backend/peak.h"

namespace fdllm {

/// Both throw kUnsupported: this build has no CUDA kernels.
std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& options);
MachinePeaks measure_cuda_peaks(const BackendOptions& options);

}  // namespace fdllm
