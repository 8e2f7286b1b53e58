#include "model/config.h"

#include <functional>
#include <set>

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
  if (config.qk_norm) {
    tensors.q_norm = tensor(names.q_norm, {config.head_dim});
    tensors.k_norm = tensor(names.k_norm, {config.head_dim});
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

/// The names of all the tensors of a model.
std::set<std::string, std::less<>> names_of(const TensorNames& names, const ModelConfig& config) {
  std::set<std::string, std::less<>> all;
  for (const std::string_view name : {names.embedding, names.final_norm, names.head}) {
    all.emplace(name);
  }
  std::vector<std::string_view> patterns = {
      names.attention_norm, names.q,    names.k,  names.v,   names.attention_out,
      names.ffn_norm,       names.gate, names.up, names.down};
  if (config.qkv_bias) patterns.insert(patterns.end(), {names.q_bias, names.k_bias, names.v_bias});
  if (config.qk_norm) patterns.insert(patterns.end(), {names.q_norm, names.k_norm});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (const std::string_view pattern : patterns) all.insert(layer_name(pattern, layer));
  }
  return all;
}

/// "model" of "model.layers.{}.mlp.up_proj.weight".
std::string_view first_part(std::string_view name) {
  return name.substr(0, name.find('.'));
}

/// Tables that follow from the configuration and that some writers store.
bool is_stored_table(std::string_view name) {
  return name.ends_with(".inv_freq") || name.ends_with(".rotary_emb.cos_cached") ||
         name.ends_with(".rotary_emb.sin_cached") || name.ends_with(".position_ids");
}

// A bias, a norm or a layer more than the forward knows changes every result. What lies beside the
// model (the head of a reward model, say) doesn't.
void check_no_other_tensors(const Checkpoint& checkpoint, const TensorNames& names,
                            const ModelConfig& config) {
  const auto known = names_of(names, config);
  const bool is_gguf = checkpoint.format() == "gguf";
  for (const std::string& name : checkpoint.names()) {
    if (known.contains(name) || is_stored_table(name)) continue;
    const std::string_view part = first_part(name);
    if (is_gguf || part == first_part(names.attention_norm) || part == first_part(names.head)) {
      fail(ErrorCode::kUnsupported,
           "{}: expected no tensor {}, found one; this engine has no place for it in a {} of {} "
           "layers; does {} describe these weights?",
           checkpoint.path().string(), quote(name), config.family, config.layers,
           checkpoint.config().source());
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
  check_no_other_tensors(checkpoint, names, config);
  tensors.parameters = resolver.parameters();
  return tensors;
}

}  // namespace fdllm
