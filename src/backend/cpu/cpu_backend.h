#pragma once
#include <memory>

#include "backend/backend.h"

namespace fdllm {

/// The back end for this machine's processor: see docs/design.md and kernels.h.
std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options);

}  // namespace fdllm
