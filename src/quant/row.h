#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace fdllm {

/// Decodes a row, or whole blocks of one, of any stored type: `row` has row_bytes(type,
/// values.size()) bytes and values.size() is a multiple of block_elements(type). Bit for bit what
/// GGUF defines for the type.
void decode_row(DType type, std::span<const std::byte> row, std::span<float> values);

/// Decodes `values.size()` neighbouring elements of a row, from `first` on; neither needs to be a
/// multiple of the block.
void decode_part(DType type, std::span<const std::byte> row, std::int64_t first,
                 std::span<float> values);

/// F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K and Q6_K; the other types are only read.
bool can_encode(DType type);

/// The inverse of decode_row for the types of can_encode(): the nearest values where the type has
/// no blocks, else scales with a small squared error (Q4_K) or from the largest magnitude. The
/// values must be finite; those beyond what an F16 (scale) can hold become infinite.
void encode_row(DType type, std::span<const float> values, std::span<std::byte> row);

}  // namespace fdllm
