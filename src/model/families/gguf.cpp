#include "model/families/gguf.h"

#include <array>
#include <string>

#include "base/check.h"
#include "model/families/read.h"

namespace fdllm {
namespace {

// Tensors that would change the result and that this engine doesn't know.
constexpr std::array<std::string_view, 8> kUnknownTensors = {
    "rope_freqs.weight",        "output.bias",
    "blk.0.attn_output.bias",   "blk.0.ffn_gate.bias",
    "blk.0.ffn_up.bias",        "blk.0.ffn_down.bias",
    "blk.0.attn_q_norm.weight", "blk.0.ffn_gate_inp.weight"};

void check_variant(const Checkpoint& checkpoint, const std::string& prefix) {
  const Metadata& config = checkpoint.config();
  expect_flag(config, prefix + "attention.causal", false, false);
  expect_text(config, prefix + "rope.scaling.type", "none", "none");
  for (const std::string_view name : kUnknownTensors) {
    if (checkpoint.find(name) != nullptr) {
      fail(
          ErrorCode::kUnsupported,
          "{}: '{}': expected no such tensor, found one; this engine does not compute that variant",
          config.source(), name);
    }
  }
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
  check_variant(checkpoint, prefix);
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
  model.rope_theta = number_or(config, prefix + "rope.freq_base", 10000.0, 1.0, 1e12);
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
