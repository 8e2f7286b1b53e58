#pragma once
#include "fastdllm/options.h"

namespace fdllm {

/// Whether random numbers are drawn with these (resolved) options: if not, requests that differ in
/// their seed alone get the same answer.
bool depends_on_seed(const GenerateOptions& resolved);

}  // namespace fdllm
