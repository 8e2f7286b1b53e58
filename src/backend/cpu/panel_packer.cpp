#include "backend/cpu/panel_packer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/round_up.h"
#include "quant/integers.h"
#include "quant/row.h"

namespace fdllm::cpu {
namespace {

/// Values of K that are converted at a time where a scale doesn't need the whole row: 16 columns of
/// them stay in the level 2 cache.
constexpr std::int64_t kChunk = 2048;
/// Keeps columns that lie a power of two apart from colliding in the level 1 cache.
constexpr std::int64_t kPadding = 16;

/// Of one column; every format keeps whole 32-bit words of a column together.
std::int64_t words_of(const GemmKernels& kernels, std::int64_t values) {
  return round_up<std::int64_t>(values, kernels.step_multiple) * kernels.weight_bits / 32;
}

bool is_bf16(const GemmKernels& kernels) {
  return kernels.weight_bits == 16;
}

/// Whether blocks of `type` are groups of the format.
bool runs_as_stored(const GemmKernels& kernels, DType type) {
  return kernels.segment == kIntegerGroup && integer_bits(type) == kernels.weight_bits;
}

/// [16][stride] words to [count][16].
void transpose(const std::uint32_t* from, std::int64_t stride, std::int64_t count,
               std::uint32_t* to) {
  constexpr std::int64_t kBlock = 16;  // its words of all columns stay in the level 1 cache
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, count);
    for (int column = 0; column < kPanelColumns; ++column) {
      const std::uint32_t* words = from + column * stride;
      for (std::int64_t i = first; i < end; ++i) to[i * kPanelColumns + column] = words[i];
    }
  }
}

}  // namespace

std::int64_t stored_row(const StoredMatrix& part, std::int64_t row) {
  if (part.interleaved_heads == 0) return row;
  const std::int64_t head_dim = part.rows / part.interleaved_heads;
  const std::int64_t half = head_dim / 2;
  const std::int64_t dim = row % head_dim;
  return row - dim + 2 * (dim % half) + dim / half;
}

PanelPacker::PanelPacker(const GemmKernels& kernels, std::int64_t columns)
    : kernels_(&kernels),
      columns_(columns),
      chunk_(kernels.shared_scale ? columns : std::min(columns, kChunk)),
      stride_(round_up<std::int64_t>(words_of(kernels, chunk_), kPadding) + kPadding),
      values_(static_cast<std::size_t>(chunk_)),
      integers_(static_cast<std::size_t>(round_up<std::int64_t>(chunk_, kernels.step_multiple))),
      words_(static_cast<std::size_t>(stride_ * kPanelColumns)) {}

void PanelPacker::pack(std::span<const StoredMatrix> parts, std::int64_t first, std::byte* weights,
                       float* scales) noexcept {
  std::array<Source, kPanelColumns> sources{};
  for (int column = 0; column < kPanelColumns; ++column) {
    sources[column] = find_row(parts, first + column);
  }
  for (std::int64_t k = 0; k < columns_; k += chunk_) {
    const std::int64_t count = std::min(chunk_, columns_ - k);
    const std::int64_t words = words_of(*kernels_, count);
    for (int column = 0; column < kPanelColumns; ++column) {
      std::uint32_t* const to = words_.data() + column * stride_;
      Source& source = sources[column];
      if (source.part == nullptr) {
        std::fill_n(to, words, 0u);
        continue;
      }
      source.k = k;
      source.count = count;
      float* const of_column = kernels_->segment == 0
                                   ? nullptr
                                   : scales + k / kernels_->segment * kPanelColumns + column;
      convert(source, to, {of_column, kPanelColumns});
    }
    transpose(words_.data(), stride_, words,
              reinterpret_cast<std::uint32_t*>(weights) + words_of(*kernels_, k) * kPanelColumns);
  }
}

void PanelPacker::pack_row(std::span<const StoredMatrix> parts, std::int64_t row,
                           std::byte* weights, float* scales) noexcept {
  Source source = find_row(parts, row);
  for (std::int64_t k = 0; k < columns_; k += chunk_) {
    source.k = k;
    source.count = std::min(chunk_, columns_ - k);
    convert(source, words_.data(),
            {kernels_->segment == 0 ? nullptr : scales + k / kernels_->segment, 1});
    std::memcpy(
        weights + words_of(*kernels_, k) * std::int64_t{sizeof(std::uint32_t)}, words_.data(),
        static_cast<std::size_t>(words_of(*kernels_, source.count)) * sizeof(std::uint32_t));
  }
}

/// The part that has row `row` of the stacked ones; part nullptr: none.
PanelPacker::Source PanelPacker::find_row(std::span<const StoredMatrix> parts, std::int64_t row) {
  for (const StoredMatrix& part : parts) {
    if (row < part.rows) return {&part, stored_row(part, row), 0, 0};
    row -= part.rows;
  }
  return {};
}

void PanelPacker::convert(const Source& source, std::uint32_t* words, const Scales& scales) {
  errors_[static_cast<std::size_t>(source.part->dtype)].weights += source.count;
  if (kernels_->segment > 0) {
    quantize(source, scales);
    join_integers(words_of(*kernels_, source.count), words);
  } else if (is_bf16(*kernels_)) {
    round_to_bf16(source, words);
  } else {
    read(source, reinterpret_cast<float*>(words));
  }
}

void PanelPacker::read(const Source& source, float* out) const {
  const StoredMatrix& part = *source.part;
  decode_part(part.dtype, part.data, source.row * columns_ + source.k,
              std::span(out, static_cast<std::size_t>(source.count)));
}

void PanelPacker::round_to_bf16(const Source& source, std::uint32_t* words) {
  auto* const out = reinterpret_cast<bf16*>(words);
  if (source.count % 2 != 0) out[source.count] = bf16{0};
  const StoredMatrix& part = *source.part;
  if (part.dtype == DType::kBF16) {
    std::memcpy(out, part.data.data() + row_bytes(part.dtype, source.row * columns_ + source.k),
                static_cast<std::size_t>(source.count) * sizeof(bf16));
    return;
  }
  read(source, values_.data());
  // Sums in separate lanes, which the compiler can keep in vectors.
  constexpr std::int64_t kLanes = 8;
  std::array<float, kLanes> errors{}, sizes{};
  const auto round = [&](std::int64_t k, std::int64_t lane) {
    const float value = values_[k];
    out[k] = to_bf16(value);
    const float error = value - to_float(out[k]);
    errors[lane] += error * error;
    sizes[lane] += value * value;
  };
  std::int64_t k = 0;
  for (; k + kLanes <= source.count; k += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) round(k + lane, lane);
  }
  for (; k < source.count; ++k) round(k, 0);
  SquaredError& sums = errors_[static_cast<std::size_t>(part.dtype)];
  for (const float error : errors) sums.error += static_cast<double>(error);
  for (const float size : sizes) sums.size += static_cast<double>(size);
}

/// To integers_, filled up with zeros; one scale for each segment.
void PanelPacker::quantize(const Source& source, const Scales& scales) {
  const StoredMatrix& part = *source.part;
  std::fill(integers_.begin() + source.count, integers_.end(), std::int8_t{0});
  const std::int64_t segment = kernels_->segment;
  if (runs_as_stored(*kernels_, part.dtype)) {
    std::array<float, kChunk / kIntegerGroup> stored_scales;
    const std::int64_t groups = source.count / kIntegerGroup;
    const std::size_t bytes = row_bytes(part.dtype, source.count);
    read_integers(part.dtype,
                  part.data.subspan(row_bytes(part.dtype, source.row * columns_ + source.k), bytes),
                  std::span(integers_).first(static_cast<std::size_t>(source.count)),
                  std::span(stored_scales).first(static_cast<std::size_t>(groups)));
    for (std::int64_t i = 0; i < groups; ++i) {
      scales.first[i * scales.stride] = std::isfinite(stored_scales[i])
                                            ? stored_scales[i]
                                            : std::numeric_limits<float>::quiet_NaN();
    }
    return;
  }
  read(source, values_.data());
  SquaredError& sums = errors_[static_cast<std::size_t>(part.dtype)];
  const std::int64_t group = kernels_->shared_scale ? source.count : segment;
  for (std::int64_t k = 0; k < source.count; k += group) {
    const std::int64_t count = std::min(group, source.count - k);
    const QuantizedWeights result =
        kernels_->quantize_weights(values_.data() + k, count, integers_.data() + k);
    sums.error += result.error;
    sums.size += result.size;
    for (std::int64_t i = k; i < k + count; i += segment) {
      scales.first[i / segment * scales.stride] = result.scale;
    }
  }
}

/// The stored words of integers_: 4 numbers of 8 bits each, or 8 of 4 bits with the first four in
/// the low halves of the bytes.
void PanelPacker::join_integers(std::int64_t words_count, std::uint32_t* words) const {
  if (kernels_->weight_bits == 8) {
    // Adding 128 to a byte turns its highest bit.
    const std::uint32_t turned = kernels_->weight_offset == 128 ? 0x80808080u : 0u;
    for (std::int64_t i = 0; i < words_count; ++i) {
      std::uint32_t four;
      std::memcpy(&four, integers_.data() + i * 4, sizeof(four));
      words[i] = four ^ turned;
    }
    return;
  }
  for (std::int64_t i = 0; i < words_count; ++i) {
    std::array<std::uint32_t, 2> eight;
    std::memcpy(eight.data(), integers_.data() + i * 8, sizeof(eight));
    // In 4 bits adding 8 turns the highest bit, too.
    const std::uint32_t low = (eight[0] & 0x0f0f0f0fu) ^ 0x08080808u;
    const std::uint32_t high = (eight[1] & 0x0f0f0f0fu) ^ 0x08080808u;
    words[i] = low | high << 4;
  }
}

}  // namespace fdllm::cpu
