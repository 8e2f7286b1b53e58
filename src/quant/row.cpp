#include "quant/row.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "quant/k_blocks.h"
#include "quant/simple_blocks.h"

namespace fdllm {
namespace {

using Decoder = void (*)(const std::byte* row, std::size_t count, float* values);
using Encoder = void (*)(const float* values, std::size_t count, std::byte* row);

// Stored data may lie at any address, hence the copies.

void decode_f32(const std::byte* row, std::size_t count, float* values) {
  std::memcpy(values, row, count * sizeof(float));
}

template <typename Half>
void decode_half(const std::byte* row, std::size_t count, float* values) {
  for (std::size_t i = 0; i < count; ++i) {
    Half value;
    std::memcpy(&value, row + i * sizeof(Half), sizeof(Half));
    values[i] = to_float(value);
  }
}

template <typename Block>
void decode_blocks(const std::byte* row, std::size_t count, float* values) {
  constexpr std::size_t kElements = block_elements(Block::kType);
  static_assert(sizeof(Block) == block_bytes(Block::kType));
  for (std::size_t i = 0; i < count / kElements; ++i) {
    Block block;
    std::memcpy(&block, row + i * sizeof(Block), sizeof(Block));
    decode(block, values + i * kElements);
  }
}

void encode_f32(const float* values, std::size_t count, std::byte* row) {
  std::memcpy(row, values, count * sizeof(float));
}

template <typename Half, Half (*kRound)(float)>
void encode_half(const float* values, std::size_t count, std::byte* row) {
  for (std::size_t i = 0; i < count; ++i) {
    const Half value = kRound(values[i]);
    std::memcpy(row + i * sizeof(Half), &value, sizeof(Half));
  }
}

template <typename Block>
void encode_blocks(const float* values, std::size_t count, std::byte* row) {
  constexpr std::size_t kElements = block_elements(Block::kType);
  for (std::size_t i = 0; i < count / kElements; ++i) {
    Block block;
    encode(values + i * kElements, block);
    std::memcpy(row + i * sizeof(Block), &block, sizeof(Block));
  }
}

struct Format {
  DType type;
  Decoder decode;
  Encoder encode;  ///< nullptr: only read
};

constexpr std::array<Format, kDTypes.size()> kFormats = {{
    {DType::kF32, decode_f32, encode_f32},
    {DType::kF16, decode_half<f16>, encode_half<f16, to_f16>},
    {DType::kBF16, decode_half<bf16>, encode_half<bf16, to_bf16>},
    {DType::kQ8_0, decode_blocks<BlockQ8_0>, encode_blocks<BlockQ8_0>},
    {DType::kQ4_0, decode_blocks<BlockQ4_0>, encode_blocks<BlockQ4_0>},
    {DType::kQ4_1, decode_blocks<BlockQ4_1>, nullptr},
    {DType::kQ5_0, decode_blocks<BlockQ5_0>, encode_blocks<BlockQ5_0>},
    {DType::kQ5_1, decode_blocks<BlockQ5_1>, nullptr},
    {DType::kIQ4_NL, decode_blocks<BlockIQ4_NL>, nullptr},
    {DType::kQ2_K, decode_blocks<BlockQ2_K>, nullptr},
    {DType::kQ3_K, decode_blocks<BlockQ3_K>, nullptr},
    {DType::kQ4_K, decode_blocks<BlockQ4_K>, encode_blocks<BlockQ4_K>},
    {DType::kQ5_K, decode_blocks<BlockQ5_K>, nullptr},
    {DType::kQ6_K, decode_blocks<BlockQ6_K>, encode_blocks<BlockQ6_K>},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kFormats.size(); ++i) {
    if (kFormats[i].type != static_cast<DType>(i)) return false;
  }
  return true;
}
static_assert(in_order(), "the table is indexed by the type");

const Format& format_of(DType type) {
  return kFormats[static_cast<std::size_t>(type)];
}

void check_row(DType type, std::size_t bytes, std::size_t count) {
  check(count % block_elements(type) == 0, "a row of whole blocks");
  check(bytes == count / block_elements(type) * block_bytes(type), "size of a stored row");
}

}  // namespace

void decode_row(DType type, std::span<const std::byte> row, std::span<float> values) {
  check_row(type, row.size(), values.size());
  format_of(type).decode(row.data(), values.size(), values.data());
}

void decode_part(DType type, std::span<const std::byte> row, std::int64_t first,
                 std::span<float> values) {
  const std::size_t elements = block_elements(type);
  const std::size_t bytes = block_bytes(type);
  auto begin = static_cast<std::size_t>(first);
  std::size_t done = 0;
  while (done < values.size()) {
    const std::size_t block = begin / elements, skip = begin % elements;
    const std::size_t left = values.size() - done;
    if (skip == 0 && left >= elements) {
      const std::size_t count = left / elements * elements;
      decode_row(type, row.subspan(block * bytes, count / elements * bytes),
                 values.subspan(done, count));
      done += count;
      begin += count;
      continue;
    }
    std::array<float, kSuperBlock> whole;
    decode_row(type, row.subspan(block * bytes, bytes), std::span(whole).first(elements));
    const std::size_t count = std::min(left, elements - skip);
    std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(skip), count,
                values.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
    begin += count;
  }
}

bool can_encode(DType type) {
  return format_of(type).encode != nullptr;
}

void encode_row(DType type, std::span<const float> values, std::span<std::byte> row) {
  check_row(type, row.size(), values.size());
  check(can_encode(type), "a type that can be written");
  format_of(type).encode(values.data(), values.size(), row.data());
}

}  // namespace fdllm
