#pragma once
#include <optional>

#include "model/config.h"

namespace fdllm {

// What the decoder classes of Hugging Face's transformers (Llama, Qwen2, Qwen3) and the diffusion
// models that derive from them have in common: keys of config.json and names of tensors.

/// What a family's own configuration class says where a key is absent.
struct HfDecoderDefaults {
  double rms_eps = 1e-6;
  std::optional<double> rope_theta = std::nullopt;  ///< nullopt: the file must say it
  bool tied_embeddings = false;
  bool qkv_bias = false;
};

/// Sizes, norms, RoPE and biases; not the tokens. Throws kCorruptFile for a size that is absent or
/// impossible, kUnsupported naming a key that would change what is computed.
ModelConfig read_hf_decoder(const Metadata& config, const HfDecoderDefaults& defaults);

inline constexpr TensorNames kHfDecoderTensorNames = {
    .embedding = "model.embed_tokens.weight",
    .final_norm = "model.norm.weight",
    .head = "lm_head.weight",
    .attention_norm = "model.layers.{}.input_layernorm.weight",
    .q = "model.layers.{}.self_attn.q_proj.weight",
    .k = "model.layers.{}.self_attn.k_proj.weight",
    .v = "model.layers.{}.self_attn.v_proj.weight",
    .attention_out = "model.layers.{}.self_attn.o_proj.weight",
    .ffn_norm = "model.layers.{}.post_attention_layernorm.weight",
    .gate = "model.layers.{}.mlp.gate_proj.weight",
    .up = "model.layers.{}.mlp.up_proj.weight",
    .down = "model.layers.{}.mlp.down_proj.weight",
    .q_bias = "model.layers.{}.self_attn.q_proj.bias",
    .k_bias = "model.layers.{}.self_attn.k_proj.bias",
    .v_bias = "model.layers.{}.self_attn.v_proj.bias",
    .q_norm = "model.layers.{}.self_attn.q_norm.weight",
    .k_norm = "model.layers.{}.self_attn.k_norm.weight",
};

}  // namespace fdllm
