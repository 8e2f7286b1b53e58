#include "quant/integers.h"

#include <cstring>

#include "base/check.h"
#include "quant/simple_blocks.h"

namespace fdllm {
namespace {

void split(const BlockQ8_0& block, std::int8_t* integers) {
  std::memcpy(integers, block.q.data(), block.q.size());
}

void split(const BlockQ4_0& block, std::int8_t* integers) {
  constexpr int kHalf = kSimpleBlock / 2;
  for (int j = 0; j < kHalf; ++j) {
    integers[j] = static_cast<std::int8_t>((block.q[j] & 15) - 8);
    integers[j + kHalf] = static_cast<std::int8_t>((block.q[j] >> 4) - 8);
  }
}

template <typename Block>
void split_blocks(std::span<const std::byte> row, std::int8_t* integers, std::span<float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    Block block;
    std::memcpy(&block, row.data() + i * sizeof(Block), sizeof(Block));
    scales[i] = to_float(block.d);
    split(block, integers + i * kSimpleBlock);
  }
}

}  // namespace

static_assert(kIntegerGroup == kSimpleBlock);

int integer_bits(DType type) {
  if (type == DType::kQ8_0) return 8;
  return type == DType::kQ4_0 ? 4 : 0;
}

void read_integers(DType type, std::span<const std::byte> row, std::span<std::int8_t> integers,
                   std::span<float> scales) {
  check(integer_bits(type) > 0, "a type of integers with a scale");
  check(integers.size() == scales.size() * kIntegerGroup &&
            row.size() == scales.size() * block_bytes(type),
        "size of a stored row");
  if (type == DType::kQ8_0) {
    split_blocks<BlockQ8_0>(row, integers.data(), scales);
  } else {
    split_blocks<BlockQ4_0>(row, integers.data(), scales);
  }
}

}  // namespace fdllm
