#include <array>

#include "base/check.h"
#include "model/families/families.h"
#include "model/families/gguf.h"
#include "model/families/read.h"
#include "model/families/rope.h"
#include "model/families/variants.h"

// Dream (Dream-org on the Hugging Face hub) and its descendants: Qwen2.5's transformer, attending
// both ways, each token predicted one position early.
namespace fdllm {
namespace {

constexpr std::string_view kGgufArchitecture = "dream";
constexpr double kDefaultTheta = 10000.0;  // DreamConfig's

bool matches(const Checkpoint& checkpoint) {
  return is_model(checkpoint, "Dream", "DreamModel", kGgufArchitecture);
}

void set_traits(ModelConfig& model) {
  model.family = "dream";
  model.logit_shift = 1;
  model.reference = ReferenceFamily::kDream;
}

ModelConfig read_gguf(const Checkpoint& checkpoint) {
  ModelConfig model = read_gguf_config(checkpoint, kGgufArchitecture);
  set_traits(model);
  expect_logit_shift(checkpoint.config(), model.logit_shift);
  return model;
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  if (checkpoint.format() == "gguf") return read_gguf(checkpoint);
  const Metadata& config = checkpoint.config();
  expect_text(config, "hidden_act", "silu", "silu");
  refuse_unknown_variants(config);

  ModelConfig model;
  set_traits(model);
  model.hidden = config.required_integer("hidden_size", 1, kMaxWidth);
  model.layers = config.required_integer("num_hidden_layers", 1, kMaxLayers);
  model.heads = config.required_integer("num_attention_heads", 1, kMaxHeads);
  model.kv_heads = integer_or(config, "num_key_value_heads", model.heads, 1, model.heads);
  if (config.has("head_dim")) {
    model.head_dim = config.required_integer("head_dim", 1, kMaxHeads);
  } else if (model.hidden % model.heads == 0) {
    model.head_dim = model.hidden / model.heads;
  } else {
    fail(ErrorCode::kCorruptFile,
         "{}: 'hidden_size': expected a multiple of the {} heads, found {}", config.source(),
         model.heads, model.hidden);
  }
  check_heads(config, model);
  model.ffn = config.required_integer("intermediate_size", 1, kMaxWidth);
  model.vocab = config.required_integer("vocab_size", 2, kMaxVocab);
  model.max_positions = config.required_integer("max_position_embeddings", 1, kMaxPositions);
  model.rms_eps = static_cast<float>(number_or(config, "rms_norm_eps", 1e-6, 1e-12, 0.1));
  model.rope_theta = read_rope_theta(config, kDefaultTheta, model.head_dim);
  model.tied_embeddings = config.boolean("tie_word_embeddings").value_or(false);
  model.qkv_bias = config.boolean("attention_bias").value_or(true);
  read_tokens(checkpoint, model);
  return model;
}

constexpr std::array<std::string_view, 1> kEndTokenTexts = {"<|im_end|>"};

}  // namespace

const Family kDream = {
    .name = "dream",
    .matches = matches,
    .read_config = read_config,
    .safetensors_names =
        {
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
        },
    .gguf_names = kGgufTensorNames,
    .end_token_texts = kEndTokenTexts,
};

}  // namespace fdllm
