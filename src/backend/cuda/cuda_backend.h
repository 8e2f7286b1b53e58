#pragma once
#include <memory>

#include "backend/backend.h"
#include "backend/peak.h"

namespace fdllm {

/// The NVIDIA GPU of the options' ordinal. Throws kUnsupported where this build has no CUDA kernels
/// (FASTDLLM_CUDA) or the machine no GPU that runs them.
std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& options);
/// Throws kUnsupported: a GPU's peaks are not measured.
MachinePeaks measure_cuda_peaks(const BackendOptions& options);

}  // namespace fdllm
