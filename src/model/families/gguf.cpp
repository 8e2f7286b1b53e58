#include "model/families/gguf.h"

#include <array>
#include <string>

#include "base/check.h"
#include "model/families/read.h"

namespace fdllm {
namespace {

/// A number that changes the result unless it is absent, 0 or `neutral`.
struct Neutral {
  const char* key;
  double neutral;
};
constexpr std::array kNumbers = {
    Neutral{"rope.scaling.attn_factor", 1},
    Neutral{"rope.partial_rotary_factor", 1},
    Neutral{"attention.sliding_window", 0},
    Neutral{"attention.scale", 0},
    Neutral{"attention.clamp_kqv", 0},
    Neutral{"attention.max_alibi_bias", 0},
    Neutral{"attn_logit_softcapping", 0},
    Neutral{"final_logit_softcapping", 0},
    Neutral{"logit_scale", 1},
    Neutral{"residual_scale", 1},
    Neutral{"embedding_scale", 1},
    Neutral{"expert_count", 0},
    Neutral{"expert_used_count", 0},
    Neutral{"dense_lead_layers", 0},
};

void expect_neutral(const Metadata& config, const std::string& key, double neutral) {
  const auto found = config.number(key);
  if (!found || *found == 0 || *found == neutral) return;
  fail(ErrorCode::kUnsupported,
       "{}: '{}': expected {} or nothing, found {}; this engine does not compute that variant",
       config.source(), key, neutral, *found);
}

// llama.cpp scales positions by a factor without a type, and not at all where the type is none.
void check_rope_scaling(const Metadata& config, const std::string& prefix) {
  const std::string type = config.text(prefix + "rope.scaling.type").value_or("linear");
  if (type == "none") return;
  for (const char* key : {"rope.scaling.factor", "rope.scale_linear"}) {
    expect_neutral(config, prefix + key, 1);
  }
  if (type != "linear") expect_text(config, prefix + "rope.scaling.type", "none", "none");
}

void check_variant(const Metadata& config, const std::string& prefix) {
  expect_flag(config, prefix + "attention.causal", false, false);
  expect_flag(config, prefix + "use_parallel_residual", false, false);
  check_rope_scaling(config, prefix);
  expect_absent(config, prefix + "rope.dimension_sections");
  for (const Neutral& number : kNumbers) {
    expect_neutral(config, prefix + number.key, number.neutral);
  }
}

double read_theta(const Metadata& config, const std::string& prefix) {
  const double theta = number_or(config, prefix + "rope.freq_base", 10000.0, 1.0, 1e12);
  const std::string of_windows = prefix + "rope.freq_base_swa";
  if (const auto found = config.number(of_windows); found && *found != theta) {
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected {}, as for all layers, found {}; this engine does not compute that "
         "variant",
         config.source(), of_windows, theta, *found);
  }
  return theta;
}

std::int64_t read_vocab(const Metadata& config, const std::string& prefix) {
  const std::string key = prefix + "vocab_size";
  if (config.has(key)) return config.required_integer(key, 2, kMaxVocab);
  const auto tokens = config.texts("tokenizer.ggml.tokens");
  const std::int64_t size = tokens ? std::ssize(*tokens) : 0;
  if (size < 2 || size > kMaxVocab) {
    fail(ErrorCode::kCorruptFile, "{}: 'tokenizer.ggml.tokens': expected 2 to {} tokens, found {}",
         config.source(), kMaxVocab, size);
  }
  return size;
}

std::int64_t read_head_dim(const Metadata& config, const std::string& prefix,
                           const ModelConfig& model) {
  const std::string key = prefix + "attention.key_length";
  std::int64_t head_dim = 0;
  if (config.has(key)) {
    head_dim = config.required_integer(key, 1, kMaxHeads);
  } else if (model.hidden % model.heads == 0) {
    head_dim = model.hidden / model.heads;
  } else {
    fail(ErrorCode::kCorruptFile,
         "{}: '{}embedding_length': expected a multiple of the {} heads, found {}", config.source(),
         prefix, model.heads, model.hidden);
  }
  // Heads of which only a part is rotated, or whose values are of another width, are other models.
  for (const char* name : {"rope.dimension_count", "attention.value_length"}) {
    integer_or(config, prefix + name, head_dim, head_dim, head_dim);
  }
  return head_dim;
}

void read_gguf_tokens(const Metadata& config, ModelConfig& model) {
  const std::string mask_key = "tokenizer.ggml.mask_token_id";
  if (!config.has(mask_key)) {
    fail(ErrorCode::kCorruptFile,
         "{}: '{}': expected the id of the mask token, found none; is this a diffusion language "
         "model?",
         config.source(), mask_key);
  }
  model.mask_token =
      checked_token(config, mask_key, config.required_integer(mask_key), model.vocab);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (const auto id = config.integer(key)) {
      add_end_token(config, key, checked_token(config, key, *id, model.vocab), model);
    }
  }
}

}  // namespace

ModelConfig read_gguf_config(const Checkpoint& checkpoint, std::string_view architecture) {
  const Metadata& config = checkpoint.config();
  const std::string prefix = std::string(architecture) + '.';
  check_variant(config, prefix);
  ModelConfig model;
  model.hidden = config.required_integer(prefix + "embedding_length", 1, kMaxWidth);
  model.layers = config.required_integer(prefix + "block_count", 1, kMaxLayers);
  model.heads = config.required_integer(prefix + "attention.head_count", 1, kMaxHeads);
  model.kv_heads =
      integer_or(config, prefix + "attention.head_count_kv", model.heads, 1, model.heads);
  model.head_dim = read_head_dim(config, prefix, model);
  check_heads(config, model);
  model.ffn = config.required_integer(prefix + "feed_forward_length", 1, kMaxWidth);
  model.vocab = read_vocab(config, prefix);
  model.max_positions = config.required_integer(prefix + "context_length", 1, kMaxPositions);
  model.rms_eps = static_cast<float>(
      number_or(config, prefix + "attention.layer_norm_rms_epsilon", 1e-5, 1e-12, 0.1));
  model.rope_theta = read_theta(config, prefix);
  model.tied_embeddings = checkpoint.find(kGgufTensorNames.head) == nullptr;
  model.qkv_bias = checkpoint.find("blk.0.attn_q.bias") != nullptr;
  read_gguf_tokens(config, model);
  return model;
}

void expect_logit_shift(const Metadata& config, std::int32_t logit_shift) {
  const auto shifted = config.boolean("diffusion.shift_logits");
  if (shifted && *shifted != (logit_shift == 1)) {
    fail(ErrorCode::kCorruptFile, "{}: 'diffusion.shift_logits': expected {}, found {}",
         config.source(), logit_shift == 1, *shifted);
  }
}

}  // namespace fdllm
