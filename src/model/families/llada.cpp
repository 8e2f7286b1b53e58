#include <array>

#include "base/check.h"
#include "model/families/families.h"
#include "model/families/gguf.h"
#include "model/families/read.h"
#include "model/families/rope.h"
#include "model/families/variants.h"

// LLaDA (GSAI-ML on the Hugging Face hub): pre-norm transformer with RMSNorm, SwiGLU and RoPE that
// attends both ways. Keys and defaults are those of its configuration_llada.py.
namespace fdllm {
namespace {

constexpr std::string_view kGgufArchitecture = "llada";
constexpr double kDefaultTheta = 10000.0;  // ModelConfig's in configuration_llada.py

bool matches(const Checkpoint& checkpoint) {
  return is_model(checkpoint, "llada", "LLaDAModelLM", kGgufArchitecture);
}

// The architecture has many switches; this engine computes the setting of the published models.
void check_variant(const Metadata& config) {
  expect_text(config, "block_type", "llama", "sequential");
  expect_text(config, "activation_type", "silu", "swiglu");
  expect_text(config, "layer_norm_type", "rms", "default");
  expect_flag(config, "layer_norm_with_affine", true, true);
  expect_flag(config, "bias_for_layer_norm", false, false);
  expect_flag(config, "attention_layer_norm", false, false);
  expect_flag(config, "include_bias", false, false);
  expect_flag(config, "attention_bias", false, false);
  expect_flag(config, "input_emb_norm", false, false);
  expect_flag(config, "scale_logits", false, false);
  expect_flag(config, "alibi", false, false);
  expect_flag(config, "rope", true, false);
  expect_absent(config, "clip_qkv");
  refuse_unknown_variants(config);
  if (const auto size = config.integer("block_group_size"); size.value_or(1) != 1) {
    fail(ErrorCode::kUnsupported,
         "{}: 'block_group_size': expected 1, found {}; this engine does not compute that variant",
         config.source(), *size);
  }
}

std::int64_t read_kv_heads(const Metadata& config, std::int64_t heads) {
  const auto multi_query = config.boolean("multi_query_attention");
  const std::int64_t said = multi_query.value_or(false) ? 1 : heads;
  const std::int64_t kv_heads = integer_or(config, "n_kv_heads", said, 1, heads);
  if (multi_query && kv_heads != said) {
    fail(ErrorCode::kCorruptFile,
         "{}: 'n_kv_heads': expected {}, as 'multi_query_attention' says, found {}",
         config.source(), said, kv_heads);
  }
  return kv_heads;
}

std::int64_t read_ffn(const Metadata& config, std::int64_t hidden) {
  const std::int64_t ratio = integer_or(config, "mlp_ratio", 4, 1, 1024);
  const std::int64_t ffn = integer_or(config, "mlp_hidden_size", ratio * hidden, 1, kMaxWidth);
  if (ffn > kMaxWidth) {
    fail(ErrorCode::kCorruptFile,
         "{}: 'mlp_ratio': expected mlp_ratio x d_model up to {}, found {}", config.source(),
         kMaxWidth, ffn);
  }
  return ffn;
}

void set_traits(ModelConfig& model) {
  model.family = "llada";
  model.logit_shift = 0;
  model.reference = ReferenceFamily::kLlada;
}

ModelConfig read_gguf(const Checkpoint& checkpoint) {
  ModelConfig model = read_gguf_config(checkpoint, kGgufArchitecture);
  model.interleaved_query_key = kLlada.gguf_interleaves_query_key;
  set_traits(model);
  expect_logit_shift(checkpoint.config(), model.logit_shift);
  return model;
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  if (checkpoint.format() == "gguf") return read_gguf(checkpoint);
  const Metadata& config = checkpoint.config();
  check_variant(config);

  ModelConfig model;
  set_traits(model);
  model.hidden = config.required_integer("d_model", 1, kMaxWidth);
  model.layers = config.required_integer("n_layers", 1, kMaxLayers);
  model.heads = config.required_integer("n_heads", 1, kMaxHeads);
  model.kv_heads = read_kv_heads(config, model.heads);
  if (model.hidden % model.heads != 0) {
    fail(ErrorCode::kCorruptFile, "{}: 'd_model': expected a multiple of the {} heads, found {}",
         config.source(), model.heads, model.hidden);
  }
  model.head_dim = model.hidden / model.heads;
  check_heads(config, model);
  model.ffn = read_ffn(config, model.hidden);

  // Embedding and head have embedding_size rows, more than vocab_size where they are padded to a
  // round number. A padding row is no token: this engine neither scores nor emits it.
  model.vocab = config.required_integer("vocab_size", 2, kMaxVocab);
  integer_or(config, "embedding_size", model.vocab, model.vocab, kMaxVocab);

  model.max_positions = config.required_integer("max_sequence_length", 1, kMaxPositions);
  model.rms_eps = static_cast<float>(number_or(config, "rms_norm_eps", 1e-5, 1e-12, 0.1));
  model.rope_theta = read_rope_theta(config, kDefaultTheta, model.head_dim);
  model.tied_embeddings = config.boolean("weight_tying").value_or(true);
  model.qkv_bias = config.boolean("include_qkv_bias").value_or(false);
  read_tokens(checkpoint, model);
  return model;
}

constexpr std::array<std::string_view, 1> kEndTokenTexts = {"<|eot_id|>"};

}  // namespace

const Family kLlada = {
    .name = "llada",
    .matches = matches,
    .read_config = read_config,
    .safetensors_names =
        {
            .embedding = "model.transformer.wte.weight",
            .final_norm = "model.transformer.ln_f.weight",
            .head = "model.transformer.ff_out.weight",
            .attention_norm = "model.transformer.blocks.{}.attn_norm.weight",
            .q = "model.transformer.blocks.{}.q_proj.weight",
            .k = "model.transformer.blocks.{}.k_proj.weight",
            .v = "model.transformer.blocks.{}.v_proj.weight",
            .attention_out = "model.transformer.blocks.{}.attn_out.weight",
            .ffn_norm = "model.transformer.blocks.{}.ff_norm.weight",
            .gate = "model.transformer.blocks.{}.ff_proj.weight",
            .up = "model.transformer.blocks.{}.up_proj.weight",
            .down = "model.transformer.blocks.{}.ff_out.weight",
            .q_bias = "model.transformer.blocks.{}.q_proj.bias",
            .k_bias = "model.transformer.blocks.{}.k_proj.bias",
            .v_bias = "model.transformer.blocks.{}.v_proj.bias",
        },
    .gguf_names = kGgufTensorNames,
    .gguf_interleaves_query_key = true,
    .end_token_texts = kEndTokenTexts,
};

}  // namespace fdllm
