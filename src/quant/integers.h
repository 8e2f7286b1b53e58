#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace fdllm {

/// Neighbours of a row that share a scale in the types of integer_bits().
inline constexpr std::int64_t kIntegerGroup = 32;

/// Bits of q in types whose values are d * q with a scale d for each group, q symmetric around 0:
/// 8 for Q8_0, 4 for Q4_0 (-8 to 7), and 0 for all others.
int integer_bits(DType type);

/// Splits whole blocks of such a type into q, one for each value, and d, one for each group.
void read_integers(DType type, std::span<const std::byte> row, std::span<std::int8_t> integers,
                   std::span<float> scales);

}  // namespace fdllm
