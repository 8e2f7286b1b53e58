#include "quant/k_blocks.h"

namespace fdllm {
namespace {

constexpr int kGroup = 32;

}  // namespace

GroupScale group_scale(const std::array<std::uint8_t, 12>& scales, int group) {
  if (group < 4) return {scales[group] & 63, scales[group + 4] & 63};
  return {(scales[group + 4] & 15) | (scales[group - 4] >> 6) << 4,
          (scales[group + 4] >> 4) | (scales[group] >> 6) << 4};
}

void decode(const BlockQ2_K& block, float* values) {
  const float d = to_float(block.d);
  const float dmin = to_float(block.dmin);
  for (int group = 0; group < 16; ++group) {
    const int run = group / 2;  // 32 elements whose bits lie at one place of 32 bytes
    const std::uint8_t* q = block.q.data() + run / 4 * 32 + group % 2 * 16;
    const int shift = run % 4 * 2;
    const float scale = d * static_cast<float>(block.scales[group] & 15);
    const float minimum = dmin * static_cast<float>(block.scales[group] >> 4);
    for (int l = 0; l < 16; ++l) {
      values[group * 16 + l] = scale * static_cast<float>((q[l] >> shift) & 3) - minimum;
    }
  }
}

void decode(const BlockQ3_K& block, float* values) {
  const float d = to_float(block.d);
  for (int group = 0; group < 16; ++group) {
    const int run = group / 2;
    const std::uint8_t* q = block.q.data() + run / 4 * 32 + group % 2 * 16;
    const std::uint8_t* high = block.high.data() + group % 2 * 16;
    const int shift = run % 4 * 2;
    const int low_bits = (block.scales[group % 8] >> (group / 8 * 4)) & 15;
    const int high_bits = (block.scales[8 + group % 4] >> (group / 4 * 2)) & 3;
    const float scale = d * static_cast<float>((low_bits | high_bits << 4) - 32);
    for (int l = 0; l < 16; ++l) {
      const int code = ((q[l] >> shift) & 3) | ((high[l] >> run) & 1) << 2;
      values[group * 16 + l] = scale * static_cast<float>(code - 4);
    }
  }
}

void decode(const BlockQ4_K& block, float* values) {
  const float d = to_float(block.d);
  const float dmin = to_float(block.dmin);
  for (int group = 0; group < 8; ++group) {
    const GroupScale factors = group_scale(block.scales, group);
    const float scale = d * static_cast<float>(factors.s);
    const float minimum = dmin * static_cast<float>(factors.m);
    const std::uint8_t* q = block.q.data() + group / 2 * kGroup;
    const int shift = group % 2 * 4;
    for (int l = 0; l < kGroup; ++l) {
      values[group * kGroup + l] = scale * static_cast<float>((q[l] >> shift) & 15) - minimum;
    }
  }
}

void decode(const BlockQ5_K& block, float* values) {
  const float d = to_float(block.d);
  const float dmin = to_float(block.dmin);
  for (int group = 0; group < 8; ++group) {
    const GroupScale factors = group_scale(block.scales, group);
    const float scale = d * static_cast<float>(factors.s);
    const float minimum = dmin * static_cast<float>(factors.m);
    const std::uint8_t* q = block.q.data() + group / 2 * kGroup;
    const int shift = group % 2 * 4;
    for (int l = 0; l < kGroup; ++l) {
      const int code = ((q[l] >> shift) & 15) | ((block.high[l] >> group) & 1) << 4;
      values[group * kGroup + l] = scale * static_cast<float>(code) - minimum;
    }
  }
}

void decode(const BlockQ6_K& block, float* values) {
  const float d = to_float(block.d);
  for (int run = 0; run < 8; ++run) {
    const int half = run / 4, i = run % 4;
    const std::uint8_t* low = block.low.data() + half * 64 + i % 2 * 32;
    const std::uint8_t* high = block.high.data() + half * 32;
    for (int l = 0; l < 32; ++l) {
      const int code = ((low[l] >> (i / 2 * 4)) & 15) | ((high[l] >> (2 * i)) & 3) << 4;
      const float scale = d * static_cast<float>(block.scales[run * 2 + l / 16]);
      values[run * 32 + l] = scale * static_cast<float>(code - 32);
    }
  }
}

}  // namespace fdllm
