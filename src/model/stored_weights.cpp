#include "model/stored_weights.h"

#include <algorithm>
#include <cmath>

namespace fdllm {
namespace {

constexpr std::int64_t kSampleRows = 16;

void add_sample(Backend& backend, std::span<const StoredMatrix> parts, MatrixRole role,
                ConversionSums& sums) {
  for (StoredMatrix part : parts) {
    part.rows = std::min(part.rows, kSampleRows);
    part.data =
        part.data.first(static_cast<std::size_t>(part.rows) * row_bytes(part.dtype, part.columns));
    part.bias = {};
    part.interleaved_heads = 0;  // the order of rows changes no error
    const auto packed = backend.pack(std::span(&part, 1), role);
    sums.add(backend.weight_format(role), packed->conversions());
  }
}

}  // namespace

StoredMatrix stored_matrix(const TensorView& weight, std::int64_t rows, const TensorView* bias) {
  StoredMatrix matrix;
  matrix.dtype = weight.dtype;
  matrix.rows = rows;
  matrix.columns = weight.shape[1];
  matrix.data = weight.data.first(static_cast<std::size_t>(matrix.rows) *
                                  row_bytes(weight.dtype, matrix.columns));
  if (bias != nullptr) {
    matrix.bias = bias->data;
    matrix.bias_dtype = bias->dtype;
  }
  return matrix;
}

StoredLayer stored_layer(const ModelConfig& config, const LayerTensors& tensors) {
  const auto by_heads = [&](const TensorView& weight, std::int64_t heads, const TensorView* bias) {
    StoredMatrix matrix = stored_matrix(weight, heads * config.head_dim, bias);
    if (config.interleaved_query_key) matrix.interleaved_heads = heads;
    return matrix;
  };
  const std::int64_t kv_width = config.kv_heads * config.head_dim;
  return {
      .qkv = {by_heads(*tensors.q, config.heads, tensors.q_bias),
              by_heads(*tensors.k, config.kv_heads, tensors.k_bias),
              stored_matrix(*tensors.v, kv_width, tensors.v_bias)},
      .attention_out = {stored_matrix(*tensors.attention_out, config.hidden)},
      .gate_up = {stored_matrix(*tensors.gate, config.ffn), stored_matrix(*tensors.up, config.ffn)},
      .down = {stored_matrix(*tensors.down, config.hidden)}};
}

std::uint64_t stored_bytes(const ModelConfig& config, const ModelTensors& tensors) {
  std::uint64_t bytes = stored_matrix(*tensors.head, config.vocab).data.size();
  const auto add = [&](std::span<const StoredMatrix> parts) {
    for (const StoredMatrix& part : parts) bytes += part.data.size();
  };
  for (const LayerTensors& layer : tensors.layers) {
    const StoredLayer stored = stored_layer(config, layer);
    add(stored.qkv);
    add(stored.attention_out);
    add(stored.gate_up);
    add(stored.down);
  }
  return bytes;
}

std::vector<const TensorView*> matrices_of(const LayerTensors& tensors) {
  return {tensors.q,    tensors.k,  tensors.v,   tensors.attention_out,
          tensors.gate, tensors.up, tensors.down};
}

double FormatConversion::relative_error() const {
  return sums.squared_error == 0 ? 0.0 : std::sqrt(sums.squared_error / sums.squared_size);
}

void ConversionSums::add(WeightFormat format, std::span<const WeightConversion> conversions) {
  for (const WeightConversion& conversion : conversions) {
    auto found = std::find_if(all_.begin(), all_.end(), [&](const FormatConversion& known) {
      return known.format == format && known.sums.stored == conversion.stored;
    });
    if (found == all_.end()) {
      all_.push_back({format, conversion});
      continue;
    }
    found->sums.weights += conversion.weights;
    found->sums.squared_error += conversion.squared_error;
    found->sums.squared_size += conversion.squared_size;
  }
}

ConversionSums sample_conversions(Backend& backend, const ModelConfig& config,
                                  const ModelTensors& tensors) {
  ConversionSums sums;
  const std::int64_t layers = std::ssize(tensors.layers);
  std::int64_t previous = -1;
  for (const std::int64_t layer : {std::int64_t{0}, layers / 2, layers - 1}) {
    if (layer == previous) continue;
    previous = layer;
    const StoredLayer stored = stored_layer(config, tensors.layers[layer]);
    add_sample(backend, stored.qkv, MatrixRole::kProjection, sums);
    add_sample(backend, stored.attention_out, MatrixRole::kProjection, sums);
    add_sample(backend, stored.gate_up, MatrixRole::kProjection, sums);
    add_sample(backend, stored.down, MatrixRole::kProjection, sums);
  }
  const StoredMatrix head = stored_matrix(*tensors.head, config.vocab);
  add_sample(backend, std::span(&head, 1), MatrixRole::kHead, sums);
  return sums;
}

}  // namespace fdllm
