#include "bench/shapes.h"

#include "base/check.h"
#include "formats/hf_config.h"

namespace fdllm::bench {
namespace {

// LLaDA-8B (Base, Instruct and 1.5) and Dream-7B (also DiffuCoder and Dream-Coder) as their
// config.json on the Hugging Face hub; the end tokens are those that an instruct model stops at. Of
// iLLaDA the base of RoPE, and of Fast-dLLM v2 the sizes (Qwen2.5's) are taken from what is known
// of them: they change no time.
constexpr Shape kShapes[] = {
    {"llada-8b", R"({
       "model_type": "llada", "d_model": 4096, "n_heads": 32, "n_kv_heads": 32, "n_layers": 32,
       "mlp_hidden_size": 12288, "activation_type": "silu", "block_type": "llama",
       "layer_norm_type": "rms", "rms_norm_eps": 1e-5, "rope": true, "rope_theta": 500000.0,
       "include_bias": false, "include_qkv_bias": false, "weight_tying": false,
       "vocab_size": 126464, "embedding_size": 126464, "max_sequence_length": 4096,
       "eos_token_id": [126081, 126348], "mask_token_id": 126336})",
     "n_layers"},
    {"dream-7b", R"({
       "model_type": "Dream", "hidden_size": 3584, "num_attention_heads": 28,
       "num_key_value_heads": 4, "num_hidden_layers": 28, "intermediate_size": 18944,
       "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "vocab_size": 152064,
       "max_position_embeddings": 131072, "tie_word_embeddings": false,
       "eos_token_id": [151643, 151645], "mask_token_id": 151666})",
     "num_hidden_layers"},
    {"illada-8b", R"({
       "model_type": "illada", "hidden_size": 4096, "num_attention_heads": 32,
       "num_key_value_heads": 8, "num_hidden_layers": 32, "intermediate_size": 14336,
       "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "vocab_size": 155136,
       "max_position_embeddings": 8192, "tie_word_embeddings": true, "attention_bias": false,
       "eos_token_id": 2, "mask_token_id": 5})",
     "num_hidden_layers"},
    {"sdar-8b", R"({
       "model_type": "sdar", "hidden_size": 4096, "num_attention_heads": 32,
       "num_key_value_heads": 8, "head_dim": 128, "num_hidden_layers": 36,
       "intermediate_size": 12288, "hidden_act": "silu", "rms_norm_eps": 1e-6,
       "rope_theta": 1000000, "vocab_size": 151936, "max_position_embeddings": 32768,
       "attention_bias": false, "tie_word_embeddings": false, "block_size": 4,
       "eos_token_id": [151645, 151643], "mask_token_id": 151669})",
     "num_hidden_layers"},
    {"sdar-4b", R"({
       "model_type": "sdar", "hidden_size": 2560, "num_attention_heads": 32,
       "num_key_value_heads": 8, "head_dim": 128, "num_hidden_layers": 36,
       "intermediate_size": 9728, "hidden_act": "silu", "rms_norm_eps": 1e-6,
       "rope_theta": 1000000, "vocab_size": 151936, "max_position_embeddings": 32768,
       "attention_bias": false, "tie_word_embeddings": false, "block_size": 4,
       "eos_token_id": [151645, 151643], "mask_token_id": 151669})",
     "num_hidden_layers"},
    {"fast-dllm-v2-7b", R"({
       "model_type": "Fast_dLLM_Qwen", "hidden_size": 3584, "num_attention_heads": 28,
       "num_key_value_heads": 4, "num_hidden_layers": 28, "intermediate_size": 18944,
       "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "vocab_size": 152064,
       "max_position_embeddings": 32768, "tie_word_embeddings": false, "bd_size": 32,
       "eos_token_id": 151645, "mask_token_id": 151665})",
     "num_hidden_layers"},
    {"fast-dllm-v2-1.5b", R"({
       "model_type": "Fast_dLLM_Qwen", "hidden_size": 1536, "num_attention_heads": 12,
       "num_key_value_heads": 2, "num_hidden_layers": 28, "intermediate_size": 8960,
       "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "vocab_size": 151936,
       "max_position_embeddings": 32768, "tie_word_embeddings": true, "bd_size": 32,
       "eos_token_id": 151645, "mask_token_id": 151665})",
     "num_hidden_layers"},
    {"llada-nano", R"({
       "model_type": "llada", "d_model": 128, "n_heads": 4, "n_kv_heads": 4, "n_layers": 4,
       "mlp_hidden_size": 384, "activation_type": "silu", "block_type": "llama",
       "layer_norm_type": "rms", "rms_norm_eps": 1e-5, "rope": true, "rope_theta": 10000.0,
       "include_bias": false, "include_qkv_bias": false, "weight_tying": false,
       "vocab_size": 544, "embedding_size": 544, "max_sequence_length": 512,
       "eos_token_id": [539, 542], "mask_token_id": 543})",
     "n_layers"},
    {"dream-nano", R"({
       "model_type": "Dream", "hidden_size": 128, "num_attention_heads": 4,
       "num_key_value_heads": 2, "num_hidden_layers": 4, "intermediate_size": 384,
       "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "vocab_size": 542,
       "max_position_embeddings": 512, "tie_word_embeddings": false,
       "eos_token_id": [538, 540], "mask_token_id": 541})",
     "num_hidden_layers"},
};

}  // namespace

std::span<const Shape> shapes() {
  return kShapes;
}

std::string shape_names() {
  std::string names;
  for (const Shape& shape : kShapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}

const Shape& find_shape(std::string_view name) {
  for (const Shape& shape : kShapes) {
    if (shape.name == name) return shape;
  }
  fail(ErrorCode::kInvalidArgument, "shape: expected one of {}, found '{}'", shape_names(), name);
}

Metadata shape_config(const Shape& shape, std::optional<std::int64_t> layers) {
  Metadata config = parse_hf_config(shape.config, "shape " + std::string(shape.name));
  if (!layers) return config;
  auto values = config.values();
  values.insert_or_assign(std::string(shape.layers_key), *layers);
  return {config.source(), std::move(values)};
}

std::int64_t layers_of(const Shape& shape) {
  return shape_config(shape).required_integer(shape.layers_key);
}

}  // namespace fdllm::bench
