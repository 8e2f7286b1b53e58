#pragma once
#include "fastdllm/options.h"

#include "backend/backend.h"

namespace fdllm {

/// What an engine's options mean for its back end.
BackendOptions backend_options(const EngineOptions& options);

}  // namespace fdllm
