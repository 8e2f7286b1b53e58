#pragma once
#include <filesystem>

#include "formats/checkpoint.h"

namespace fdllm {

/// Throws kUnsupported where config.json or a file beside it says that a Hugging Face folder's
/// weights are quantised (GPTQ, AWQ, bitsandbytes, FP8, compressed-tensors, MLX, ...): its tensors
/// may have the names and types of a float model, and other values.
void refuse_quantized_folder(const std::filesystem::path& folder, const Metadata& config);

}  // namespace fdllm
