#pragma once
#include "fastdllm/options.h"

#include "backend/backend.h"
#include "model/config.h"

namespace fdllm {

/// The type that kAuto stands for with a checkpoint's tensors; any other is what was asked for.
WeightType resolve_weights(WeightType asked, const ModelTensors& tensors);

/// The back end's name of a type; kAuto is what it stands for with floats.
WeightFormat weight_format(WeightType weights);

/// What an engine's options mean for its back end.
BackendOptions backend_options(const EngineOptions& options);

}  // namespace fdllm
