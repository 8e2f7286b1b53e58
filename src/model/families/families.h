#pragma once
#include "model/config.h"

namespace fdllm {

/// LLaDA-8B, LLaDA-1.5 and other sizes of that architecture.
extern const Family kLlada;
/// Dream-7B, DiffuCoder, Dream-Coder: the Qwen2.5 architecture, attending both ways.
extern const Family kDream;
/// iLLaDA-8B: Llama's architecture, attending both ways.
extern const Family kIllada;
/// SDAR, TraDo: Qwen3's architecture, attending whole blocks.
extern const Family kSdar;
/// Fast-dLLM v2: Qwen2.5's architecture, attending whole blocks.
extern const Family kFastDllmV2;

}  // namespace fdllm
