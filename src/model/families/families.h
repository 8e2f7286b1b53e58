#pragma once
#include "model/config.h"

namespace fdllm {

/// LLaDA-8B, LLaDA-1.5 and other sizes of that architecture.
extern const Family kLlada;
/// Dream-7B, DiffuCoder, Dream-Coder: the Qwen2.5 architecture, attending both ways.
extern const Family kDream;

}  // namespace fdllm
