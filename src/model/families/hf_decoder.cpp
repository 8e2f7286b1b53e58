#include "model/families/hf_decoder.h"

#include "base/check.h"
#include "model/families/read.h"
#include "model/families/rope.h"

namespace fdllm {
namespace {

std::int64_t read_head_dim(const Metadata& config, const ModelConfig& model) {
  if (config.has("head_dim")) return config.required_integer("head_dim", 1, kMaxHeads);
  if (model.hidden % model.heads == 0) return model.hidden / model.heads;
  fail(ErrorCode::kCorruptFile, "{}: 'hidden_size': expected a multiple of the {} heads, found {}",
       config.source(), model.heads, model.hidden);
}

double read_theta(const Metadata& config, const HfDecoderDefaults& defaults,
                  std::int64_t head_dim) {
  if (defaults.rope_theta) return read_rope_theta(config, *defaults.rope_theta, head_dim);
  constexpr double kAbsent = 0;
  const double theta = read_rope_theta(config, kAbsent, head_dim);
  if (theta != kAbsent) return theta;
  fail(ErrorCode::kCorruptFile, "{}: 'rope_theta': expected the base of RoPE, found none",
       config.source());
}

}  // namespace

ModelConfig read_hf_decoder(const Metadata& config, const HfDecoderDefaults& defaults) {
  expect_text(config, "hidden_act", "silu", "silu");
  ModelConfig model;
  model.hidden = config.required_integer("hidden_size", 1, kMaxWidth);
  model.layers = config.required_integer("num_hidden_layers", 1, kMaxLayers);
  model.heads = config.required_integer("num_attention_heads", 1, kMaxHeads);
  model.kv_heads = integer_or(config, "num_key_value_heads", model.heads, 1, model.heads);
  model.head_dim = read_head_dim(config, model);
  check_heads(config, model);
  model.ffn = config.required_integer("intermediate_size", 1, kMaxWidth);
  model.vocab = config.required_integer("vocab_size", 2, kMaxVocab);
  model.max_positions = config.required_integer("max_position_embeddings", 1, kMaxPositions);
  model.rms_eps =
      static_cast<float>(number_or(config, "rms_norm_eps", defaults.rms_eps, 1e-12, 0.1));
  model.rope_theta = read_theta(config, defaults, model.head_dim);
  model.tied_embeddings = config.boolean("tie_word_embeddings").value_or(defaults.tied_embeddings);
  model.qkv_bias = config.boolean("attention_bias").value_or(defaults.qkv_bias);
  return model;
}

}  // namespace fdllm
