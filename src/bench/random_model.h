#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "bench/shapes.h"
#include "formats/checkpoint.h"

namespace fdllm::bench {

/// A checkpoint of that shape whose weights are random bf16 numbers, drawn from N(0, 0.02^2); norm
/// weights are 1. It opens like one on disk (family_of, resolve_tensors), but has no tokenizer.
/// All matrices are views of one buffer hardly larger than the largest of them, so that an 8B model
/// never exists unpacked. The buffer is shared memory: like a mapped file it is no part of the
/// process's anonymous memory. `layers` replaces the shape's depth. The same numbers every time.
std::unique_ptr<Checkpoint> make_random_checkpoint(
    const Shape& shape, std::optional<std::int64_t> layers = std::nullopt);

}  // namespace fdllm::bench
