#pragma once
#include <memory>

#include "backend/backend.h"

namespace fdllm {

/// Throws kUnsupported: this build has no CUDA kernels.
std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& options);

}  // namespace fdllm
