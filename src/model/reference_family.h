#pragma once
#include <cstdint>

namespace fdllm {

/// Whose published implementation a family's models decode like, whatever its tensors are called.
/// Unmask rules name it where they are that implementation's own.
enum class ReferenceFamily : std::uint8_t { kLlada, kDream, kSdar, kFastDllmV2 };

}  // namespace fdllm
