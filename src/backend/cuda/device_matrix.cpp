#include "backend/cuda/device_matrix.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/panel_packer.h"
#include "base/check.h"

namespace fdllm::cuda {
namespace {

/// Packed weights that are sent at a time.
constexpr std::int64_t kBatchBytes = std::int64_t{16} << 20;

// Parts of K (ProductTask::part_bytes). The integer formats' are the CPU's: values whose sums are
// added to the output together. Those of bf16 let products of few rows fill a large GPU: so many
// blocks, each of so many columns, and the least of K that a block is worth.
constexpr std::int64_t kIntegerPart = 2048;
constexpr std::int64_t kTileBytes = 128;
constexpr std::int64_t kBlocks = 256;
constexpr std::int64_t kBlockColumns = 64;
constexpr std::int64_t kLeastPartTiles = 8;

const cpu::GemmKernels& packing_of(WeightFormat format) {
  const cpu::KernelTable& table = cpu::scalar_kernels();
  switch (format) {
    case WeightFormat::kF32:
      return table.f32;
    case WeightFormat::kBF16:
      return table.bf16;
    case WeightFormat::kInt8:
      return table.integer.int8;
    case WeightFormat::kInt8Group128:
      return table.integer.int8_g128;
    case WeightFormat::kInt8Group32:
      return table.integer.int8_g32;
    case WeightFormat::kInt4:
      return table.integer.int4;
    case WeightFormat::kInt4Group32:
      return table.integer.int4_g32;
  }
  fail(ErrorCode::kInvalidArgument, "weights: unknown format {}", static_cast<int>(format));
}

OperandKind kind_of(WeightFormat format) {
  switch (bits_of(format)) {
    case 32:
      return OperandKind::kF32;
    case 16:
      return OperandKind::kBF16;
    case 8:
      return OperandKind::kInt8;
    default:
      return OperandKind::kInt4;
  }
}

std::int64_t padded_bytes(std::int64_t columns, std::int64_t bits) {
  return (columns * bits + 127) / 128 * 16;
}

}  // namespace

FormatLayout::FormatLayout(WeightFormat format)
    : packing(&packing_of(format)), kind(kind_of(format)) {}

std::int64_t FormatLayout::weight_stride(std::int64_t columns) const {
  return padded_bytes(columns, packing->weight_bits);
}

std::int64_t FormatLayout::activation_stride(std::int64_t columns) const {
  return padded_bytes(columns, is_integer() ? 8 : packing->weight_bits);
}

std::int64_t FormatLayout::part_bytes(std::int64_t out, std::int64_t in) const {
  if (is_integer()) return kIntegerPart;
  const std::int64_t tiles = (activation_stride(in) + kTileBytes - 1) / kTileBytes;
  const std::int64_t wanted = kBlocks * kBlockColumns / std::max(out, kBlockColumns);
  const std::int64_t parts =
      std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(tiles / kLeastPartTiles, 1));
  return (tiles + parts - 1) / parts * kTileBytes;
}

std::size_t DeviceMatrix::bytes_for(std::int64_t rows, std::int64_t columns, WeightFormat format) {
  const FormatLayout layout(format);
  return static_cast<std::size_t>(rows) *
         (static_cast<std::size_t>(layout.weight_stride(columns)) +
          static_cast<std::size_t>(layout.segments(columns)) * sizeof(float));
}

DeviceMatrix::DeviceMatrix(Runtime& runtime, ThreadPool& pool, std::span<const StoredMatrix> parts,
                           WeightFormat format)
    : layout_(format),
      out_(cpu::check_parts(parts)),
      in_(parts[0].columns),
      part_bytes_(layout_.part_bytes(std::max(out_, parts[0].rows_on_all_devices), in_)),
      stride_(layout_.weight_stride(in_)) {
  const std::int64_t segments = layout_.segments(in_);
  const std::int64_t row_bytes = stride_ + segments * std::int64_t{sizeof(float)};
  weights_ = DeviceMemory(runtime, static_cast<std::size_t>(out_ * stride_), "packed weights");
  scales_ = DeviceMemory(runtime, static_cast<std::size_t>(out_ * segments) * sizeof(float),
                         "weight scales");
  const std::int64_t batch = std::clamp<std::int64_t>(kBatchBytes / row_bytes, 1, out_);
  const PinnedMemory pinned(runtime, static_cast<std::size_t>(batch * row_bytes),
                            "weights on their way");
  auto* const scales = reinterpret_cast<float*>(pinned.data() + batch * stride_);
  std::vector<cpu::PanelPacker> packers(static_cast<std::size_t>(pool.size()),
                                        cpu::PanelPacker(*layout_.packing, in_));
  for (std::int64_t first = 0; first < out_; first += batch) {
    const std::int64_t count = std::min(batch, out_ - first);
    std::memset(pinned.data(), 0, static_cast<std::size_t>(count * stride_));
    pool.run(pool.size(), count, [&](std::int64_t row, int thread) noexcept {
      packers[thread].pack_row(parts, first + row, pinned.data() + row * stride_,
                               segments == 0 ? nullptr : scales + row * segments);
    });
    runtime.copy_to_device(weights_.data() + first * stride_, pinned.data(),
                           static_cast<std::size_t>(count * stride_));
    if (segments > 0) {
      runtime.copy_to_device(scales_.as<float>() + first * segments, scales,
                             static_cast<std::size_t>(count * segments) * sizeof(float));
    }
    runtime.synchronize();
  }
  conversions_ = cpu::conversions_of(packers);
  const std::vector<float> bias = cpu::stacked_bias(parts);
  if (bias.empty()) return;
  bias_ = DeviceMemory(runtime, bias.size() * sizeof(float), "bias");
  runtime.copy_to_device(bias_.data(), bias.data(), bias_.size());
  runtime.synchronize();
}

}  // namespace fdllm::cuda
