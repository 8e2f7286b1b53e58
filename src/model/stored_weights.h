#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "model/config.h"

namespace fdllm {

/// The matrices of a layer as they are packed together, in place in the checkpoint.
struct StoredLayer {
  std::array<StoredMatrix, 3> qkv;
  std::array<StoredMatrix, 1> attention_out;
  std::array<StoredMatrix, 2> gate_up;
  std::array<StoredMatrix, 1> down;
};
StoredLayer stored_layer(const ModelConfig& config, const LayerTensors& tensors);
/// `rows` rows of a tensor [>= rows, columns].
StoredMatrix stored_matrix(const TensorView& weight, std::int64_t rows,
                           const TensorView* bias = nullptr);

/// Bytes of all matrices that are packed, the head included, as they are stored.
std::uint64_t stored_bytes(const ModelConfig& config, const ModelTensors& tensors);

/// The tensors that packing a layer reads.
std::vector<const TensorView*> matrices_of(const LayerTensors& tensors);

/// What packing changed in the weights of one stored type that are kept in one format.
struct FormatConversion {
  WeightFormat format = WeightFormat::kF32;
  WeightConversion sums;
  /// Root of the squared error over the squared weights; 0: they run as they are stored.
  double relative_error() const;
};

/// Sums of matrices by stored type and format.
class ConversionSums {
 public:
  void add(WeightFormat format, std::span<const WeightConversion> conversions);
  const std::vector<FormatConversion>& all() const { return all_; }

 private:
  std::vector<FormatConversion> all_;
};

/// The conversions of a sample, to tell of before anything is loaded: the first 16 rows of each
/// matrix in the first, a middle and the last layer, and of the head.
ConversionSums sample_conversions(Backend& backend, const ModelConfig& config,
                                  const ModelTensors& tensors);

}  // namespace fdllm
