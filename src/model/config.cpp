#include "model/config.h"

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {
namespace {

using Shape = std::vector<std::int64_t>;

class Resolver {
 public:
  Resolver(const Checkpoint& checkpoint, const ModelConfig& config)
      : checkpoint_(checkpoint), config_(config) {}

  const TensorView* tensor(std::string_view name, const Shape& expected) {
    const TensorView& view = found(name);
    if (view.shape != expected) wrong_shape(view, shape_text(expected));
    parameters_ += view.elements();
    return &view;
  }

  /// An embedding or head may be padded with rows that are no tokens.
  const TensorView* token_table(std::string_view name) {
    const TensorView& view = found(name);
    if (view.shape.size() != 2 || view.shape[0] < config_.vocab ||
        view.shape[1] != config_.hidden) {
      wrong_shape(view, fmt::format("[{} or more, {}]", config_.vocab, config_.hidden));
    }
    parameters_ += view.elements();
    return &view;
  }

  std::int64_t parameters() const { return parameters_; }

 private:
  const TensorView& found(std::string_view name) const {
    if (const TensorView* view = checkpoint_.find(name)) return *view;
    fail(ErrorCode::kNotFound,
         "{}: expected the tensor {}, found none; does {} describe these weights ({}, {} layers)?",
         checkpoint_.path().string(), quote(name), checkpoint_.config().source(), config_.family,
         config_.layers);
  }

  [[noreturn]] void wrong_shape(const TensorView& view, std::string_view expected) const {
    fail(ErrorCode::kCorruptFile,
         "{}: {}: expected shape {}, found {}; does {} describe these weights?", view.file,
         quote(view.name), expected, shape_text(view.shape), checkpoint_.config().source());
  }

  const Checkpoint& checkpoint_;
  const ModelConfig& config_;
  std::int64_t parameters_ = 0;
};

std::string layer_name(std::string_view pattern, std::int64_t layer) {
  return fmt::format(fmt::runtime(pattern), layer);
}

LayerTensors resolve_layer(Resolver& resolver, const TensorNames& names, const ModelConfig& config,
                           std::int64_t layer) {
  const std::int64_t query = config.heads * config.head_dim;
  const std::int64_t key_value = config.kv_heads * config.head_dim;
  const auto tensor = [&](std::string_view pattern, const Shape& shape) {
    return resolver.tensor(layer_name(pattern, layer), shape);
  };
  LayerTensors tensors{
      .attention_norm = tensor(names.attention_norm, {config.hidden}),
      .q = tensor(names.q, {query, config.hidden}),
      .k = tensor(names.k, {key_value, config.hidden}),
      .v = tensor(names.v, {key_value, config.hidden}),
      .attention_out = tensor(names.attention_out, {config.hidden, query}),
      .ffn_norm = tensor(names.ffn_norm, {config.hidden}),
      .gate = tensor(names.gate, {config.ffn, config.hidden}),
      .up = tensor(names.up, {config.ffn, config.hidden}),
      .down = tensor(names.down, {config.hidden, config.ffn}),
  };
  if (config.qkv_bias) {
    tensors.q_bias = tensor(names.q_bias, {query});
    tensors.k_bias = tensor(names.k_bias, {key_value});
    tensors.v_bias = tensor(names.v_bias, {key_value});
  }
  return tensors;
}

// Biases that the configuration doesn't tell of would silently be left out.
void check_no_bias(const Checkpoint& checkpoint, const TensorNames& names) {
  for (const std::string_view pattern : {names.q_bias, names.k_bias, names.v_bias}) {
    if (const TensorView* bias = checkpoint.find(layer_name(pattern, 0))) {
      fail(ErrorCode::kCorruptFile,
           "{}: {}: expected no bias, as {} says, found one; does it describe these weights?",
           bias->file, quote(bias->name), checkpoint.config().source());
    }
  }
}

}  // namespace

const TensorNames& tensor_names(const Family& family, std::string_view format) {
  return format == "gguf" ? family.gguf_names : family.safetensors_names;
}

ModelTensors resolve_tensors(const Checkpoint& checkpoint, const Family& family,
                             const ModelConfig& config) {
  const TensorNames& names = tensor_names(family, checkpoint.format());
  Resolver resolver(checkpoint, config);
  ModelTensors tensors{};
  tensors.checkpoint = &checkpoint;
  tensors.embedding = resolver.token_table(names.embedding);
  tensors.final_norm = resolver.tensor(names.final_norm, {config.hidden});
  tensors.head = config.tied_embeddings ? tensors.embedding : resolver.token_table(names.head);
  if (!config.qkv_bias) check_no_bias(checkpoint, names);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    tensors.layers.push_back(resolve_layer(resolver, names, config, layer));
  }
  tensors.parameters = resolver.parameters();
  return tensors;
}

}  // namespace fdllm
