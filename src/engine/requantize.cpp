#include "engine/requantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/cpu_features.h"
#include "base/quote.h"
#include "quant/row.h"

namespace fdllm {
namespace {

/// Values that are held as f32 at a time.
constexpr std::int64_t kChunkValues = std::int64_t{1} << 22;
constexpr float kLargestF16 = 65504.0f;

/// The row of the usual order that stands at `row` of the interleaved one.
std::int64_t source_row(std::int64_t row, std::int64_t rows, std::int64_t interleaved_heads) {
  if (interleaved_heads == 0) return row;
  const std::int64_t head_dim = rows / interleaved_heads;
  const std::int64_t dim = row % head_dim;
  return row - dim + dim % 2 * (head_dim / 2) + dim / 2;
}

/// Values beyond `limit`, infinities and NaN.
bool all_within(std::span<const float> values, float limit) {
  // Not std::all_of: this loop is vectorised.
  int outside = 0;
  for (const float value : values) outside += !(std::fabs(value) <= limit);
  return outside == 0;
}

}  // namespace

DType type_for_columns(DType wanted, std::int64_t columns) {
  const auto fits = [&](DType type) {
    return columns % static_cast<std::int64_t>(block_elements(type)) == 0;
  };
  if (fits(wanted)) return wanted;
  const DType next = wanted == DType::kQ4_K   ? DType::kQ5_0
                     : wanted == DType::kQ6_K ? DType::kQ8_0
                                              : DType::kF16;
  return fits(next) ? next : DType::kF16;
}

Requantizer::Requantizer(int threads) : pool_(threads > 0 ? threads : physical_cores()) {}

void Requantizer::write(const TensorView& tensor, std::int64_t rows, DType type,
                        std::int64_t interleaved_heads, const GgufSink& sink) {
  const std::int64_t columns = tensor.shape.size() == 2 ? tensor.shape[1] : 1;
  // A vector has no rows of its own; one of a block type is decoded as a whole.
  std::vector<float> vector_values;
  if (tensor.shape.size() == 1) {
    vector_values.resize(static_cast<std::size_t>(tensor.shape[0]));
    decode_row(tensor.dtype, tensor.data, vector_values);
  }
  const std::size_t in_bytes = columns == 1 ? 0 : row_bytes(tensor.dtype, columns);
  const std::size_t out_bytes = row_bytes(type, columns);
  const bool any_f32 = type == DType::kF32 || type == DType::kBF16;
  const float limit = any_f32 ? std::numeric_limits<float>::max() : kLargestF16;

  const std::int64_t chunk = std::clamp<std::int64_t>(kChunkValues / columns, 1, rows);
  std::vector<float> values(static_cast<std::size_t>(chunk * columns));
  std::vector<std::byte> stored(static_cast<std::size_t>(chunk) * out_bytes);
  std::atomic<bool> out_of_range{false};
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    pool_.run(pool_.size(), count, [&](std::int64_t i, int) noexcept {
      const std::int64_t source = source_row(first + i, rows, interleaved_heads);
      const auto row = std::span(values).subspan(static_cast<std::size_t>(i * columns),
                                                 static_cast<std::size_t>(columns));
      if (vector_values.empty()) {
        decode_row(tensor.dtype,
                   tensor.data.subspan(static_cast<std::size_t>(source) * in_bytes, in_bytes), row);
      } else {
        row[0] = vector_values[static_cast<std::size_t>(source)];
      }
      if (!all_within(row, limit)) out_of_range = true;
      encode_row(type, row,
                 std::span(stored).subspan(static_cast<std::size_t>(i) * out_bytes, out_bytes));
    });
    if (out_of_range) {
      fail(ErrorCode::kNumeric, "{}: {}: expected finite weights{}, found others", tensor.file,
           quote(tensor.name),
           any_f32 ? ""
                   : fmt::format(" up to {} (for {}; BF16 holds larger ones)", kLargestF16,
                                 name_of(type)));
    }
    sink(std::span(stored).first(static_cast<std::size_t>(count) * out_bytes));
  }
}

}  // namespace fdllm
