// The portable kernels: the oracle for all others, and what machines without AVX2 run.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/integer_formats.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/weight_kernels.h"
#include "base/dtype.h"

namespace fdllm::cpu {
namespace {

constexpr int kTileRows = 4;

template <bool kRound>
void pack_rows(const float* const* rows, int count, std::int64_t values, void* out) {
  auto* packed = static_cast<float*>(out);
  for (std::int64_t k = 0; k < values; ++k) {
    for (int row = 0; row < count; ++row) {
      *packed++ = kRound ? round_bf16(rows[row][k]) : rows[row][k];
    }
  }
  if (kRound && values % 2 != 0) {
    for (int row = 0; row < count; ++row) *packed++ = 0.0f;
  }
}

void store(const GemmTile& tile, const float (&sums)[kTileRows][kPanelColumns]) {
  for (int row = 0; row < tile.rows; ++row) {
    float* out = tile.out + row * tile.out_stride;
    for (int column = 0; column < tile.columns; ++column) {
      const float value = sums[row][column] + (tile.bias != nullptr ? tile.bias[column] : 0.0f);
      out[column] = tile.add != 0 ? out[column] + value : value;
    }
  }
}

void tile_f32(const GemmTile& tile) {
  const auto* a = static_cast<const float*>(tile.a);
  const auto* w = static_cast<const float*>(tile.w);
  float sums[kTileRows][kPanelColumns] = {};
  for (std::int64_t k = 0; k < tile.steps; ++k, w += kPanelColumns, a += tile.rows) {
    for (int row = 0; row < tile.rows; ++row) {
      for (int column = 0; column < kPanelColumns; ++column) {
        sums[row][column] += a[row] * w[column];
      }
    }
  }
  store(tile, sums);
}

void tile_bf16(const GemmTile& tile) {
  const auto* a = static_cast<const float*>(tile.a);
  const auto* w = static_cast<const bf16*>(tile.w);
  float sums[kTileRows][kPanelColumns] = {};
  for (std::int64_t k = 0; k < tile.steps; k += 2, w += std::ptrdiff_t{2} * kPanelColumns) {
    for (int half = 0; half < 2; ++half, a += tile.rows) {
      for (int row = 0; row < tile.rows; ++row) {
        for (int column = 0; column < kPanelColumns; ++column) {
          sums[row][column] += a[row] * to_float(w[2 * column + half]);
        }
      }
    }
  }
  store(tile, sums);
}

template <std::int64_t kSegment, bool kSharedScale, int kMultiple, int kWeightOffset>
void quantize_rows(const QuantizeRows& task) {
  for (int row = 0; row < task.count; ++row) {
    const float* from = task.rows[row];
    const auto largest_of = [from](std::int64_t begin, std::int64_t end) {
      float largest = 0;
      for (std::int64_t k = begin; k < end; ++k) {
        const float magnitude = std::abs(from[k]);
        if (magnitude > largest || std::isnan(magnitude)) largest = magnitude;
        if (std::isnan(largest)) break;
      }
      return largest;
    };
    float largest = kSharedScale ? largest_of(0, task.values) : 0.0f;
    for (std::int64_t begin = 0, segment = 0; begin < task.values; begin += kSegment, ++segment) {
      const std::int64_t end = std::min(begin + kSegment, task.values);
      const std::int64_t padded_end = begin + (end - begin + kMultiple - 1) / kMultiple * kMultiple;
      if (!kSharedScale) largest = largest_of(begin, end);
      const bool used = std::isfinite(largest) && largest >= kSmallestQuantized;
      const float inverse = used ? kActivationSteps / largest : 0.0f;
      std::int32_t sum = 0;
      for (std::int64_t k = begin; k < padded_end; ++k) {
        // To nearest even, the rounding mode that nobody changes.
        const auto q =
            static_cast<std::int8_t>(used && k < end ? std::nearbyint(from[k] * inverse) : 0.0f);
        static_cast<std::int8_t*>(task.out)[(k / 4 * task.count + row) * 4 + k % 4] = q;
        sum += q;
      }
      task.scales[segment * task.count + row] = used ? largest / kActivationSteps
                                                : std::isfinite(largest)
                                                    ? 0.0f
                                                    : std::numeric_limits<float>::quiet_NaN();
      task.offsets[segment * task.count + row] = kWeightOffset * sum;
    }
  }
}

template <std::int64_t kSegment, int kBits>
void tile_integer(const GemmTile& tile) {
  const auto* a = static_cast<const std::int8_t*>(tile.a);
  const auto* w = static_cast<const std::int8_t*>(tile.w);
  const auto weight_at = [w](std::int64_t k, int column) -> int {
    if constexpr (kBits == 8) return w[(k / 4 * kPanelColumns + column) * 4 + k % 4];
    const int both = static_cast<std::uint8_t>(w[(k / 8 * kPanelColumns + column) * 4 + k % 4]);
    return k % 8 < 4 ? both & 15 : both >> 4;
  };
  float sums[kTileRows][kPanelColumns] = {};
  for (std::int64_t begin = 0, segment = 0; begin < tile.steps; begin += kSegment, ++segment) {
    const std::int64_t end = std::min(begin + kSegment, tile.steps);
    for (int row = 0; row < tile.rows; ++row) {
      const std::int64_t of_row = segment * tile.rows + row;
      for (int column = 0; column < kPanelColumns; ++column) {
        std::int32_t sum = -tile.a_offsets[of_row];
        for (std::int64_t k = begin; k < end; ++k) {
          sum += a[(k / 4 * tile.rows + row) * 4 + k % 4] * weight_at(k, column);
        }
        const float scaled =
            static_cast<float>(sum) * tile.w_scales[segment * kPanelColumns + column];
        sums[row][column] = std::fma(scaled, tile.a_scales[of_row], sums[row][column]);
      }
    }
  }
  store(tile, sums);
}

void rms_norm(const float* x, const float* weight, float eps, std::int64_t n, float* out) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
  const auto mean = static_cast<float>(squares / static_cast<double>(n));
  const float factor = 1.0f / std::sqrt(mean + eps);
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * factor * weight[i];
}

void swiglu(const float* gate, const float* up, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void rope(float* x, const float* cos, const float* sin, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = x[i];
    const float second = x[i + half];
    x[i] = first * cos[i] - second * sin[i];
    x[i + half] = second * cos[i] + first * sin[i];
  }
}

void round_to_bf16(const float* x, std::int64_t n, std::uint16_t* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = to_bf16(x[i]).bits;
}

void softmax_block(SoftmaxBlock& block) {
  float maximum = block.maximum;
  for (std::int64_t i = 0; i < block.keys; ++i) {
    const bool attended = block.mask == nullptr || block.mask[i] != 0.0f;
    block.scores[i] =
        attended ? block.scores[i] * block.scale : -std::numeric_limits<float>::infinity();
    if (block.scores[i] > maximum || std::isnan(block.scores[i])) maximum = block.scores[i];
  }
  block.rescale = std::exp(block.maximum - maximum);
  float sum = 0;
  for (std::int64_t i = 0; i < block.keys; ++i) {
    block.scores[i] = std::exp(block.scores[i] - maximum);
    sum += block.scores[i];
  }
  block.sum = block.sum * block.rescale + sum;
  block.maximum = maximum;
}

void scale(float* x, std::int64_t n, float factor) {
  for (std::int64_t i = 0; i < n; ++i) x[i] *= factor;
}

LogitStatistics logit_statistics(const float* logits, std::int64_t n) {
  LogitStatistics statistics{-std::numeric_limits<float>::infinity(), 0, true};
  for (std::int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(logits[i])) statistics.finite = false;
    if (logits[i] > statistics.maximum) {
      statistics.maximum = logits[i];
      statistics.index = i;
    }
  }
  return statistics;
}

double exp_sum(const float* logits, std::int64_t n, float maximum, float inverse_temperature) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    sum += std::exp((double{logits[i]} - double{maximum}) * double{inverse_temperature});
  }
  return sum;
}

struct IntegerSet {
  static constexpr int kMaxRows = kTileRows;
  static constexpr int kInt8Offset = 0;
  template <std::int64_t kSegment, int kBits>
  static constexpr auto kTile = tile_integer<kSegment, kBits>;
  template <std::int64_t kSegment, bool kSharedScale, int kMultiple, int kOffset>
  static constexpr auto kQuantizeRows = quantize_rows<kSegment, kSharedScale, kMultiple, kOffset>;
  template <int kBits>
  static constexpr auto kQuantizeWeights = quantize_weights<kBits>;
};

constexpr KernelTable kTable = {
    .name = "scalar",
    .f32 = {.max_rows = kTileRows,
            .max_panels = 1,
            .weight_bits = 32,
            .activation_bytes = 4,
            .step_multiple = 1,
            .k_block = 512,
            .pack_rows = pack_rows<false>,
            .tile = tile_f32},
    .bf16 = {.max_rows = kTileRows,
             .max_panels = 1,
             .weight_bits = 16,
             .activation_bytes = 4,
             .step_multiple = 2,
             .k_block = 512,
             .pack_rows = pack_rows<true>,
             .tile = tile_bf16},
    .integer = integer_formats<IntegerSet>(),
    .rms_norm = rms_norm,
    .swiglu = swiglu,
    .rope = rope,
    .round_bf16 = round_to_bf16,
    .softmax_block = softmax_block,
    .scale = scale,
    .logit_statistics = logit_statistics,
    .exp_sum = exp_sum,
};

}  // namespace

const KernelTable& scalar_kernels() {
  return kTable;
}

}  // namespace fdllm::cpu
