// The families whose files are like Hugging Face's Llama, Qwen2 and Qwen3.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "model/config_testing.h"

namespace fdllm {
namespace {

using nlohmann::json;
using testing_models::changed;
using testing_models::expect_error;
using testing_models::expect_refused;
using testing_models::read_config;

const json kIlladaConfig = json::parse(R"({
  "model_type": "illada", "architectures": ["ILLaDAForCausalLM"],
  "hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1,
  "intermediate_size": 12, "hidden_act": "silu", "rope_theta": 500000.0, "rms_norm_eps": 1e-5,
  "vocab_size": 10, "max_position_embeddings": 64, "tie_word_embeddings": true,
  "attention_bias": false, "mlp_bias": false, "layer_norm_eps": null, "rope_scaling": null,
  "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1
})");

TEST(Illada, ReadsItsKeys) {
  const ModelConfig config = read_config(kIlladaConfig, {{"eos_token_id", {2, 4}}});
  EXPECT_EQ(config.family, "illada");
  EXPECT_EQ(config.mask_token, 5) << "no file names it: the family does";
  EXPECT_EQ(config.end_tokens, (std::vector<std::int32_t>{2, 4}));
  EXPECT_EQ(config.logit_shift, 0);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_EQ(config.rope_theta, 500000.0);
  EXPECT_FLOAT_EQ(config.rms_eps, 1e-5f);
}

TEST(Illada, RefusesWhatItDoesNotCompute) {
  expect_error([&] { read_config(changed(kIlladaConfig, "rope_theta", nullptr)); },
               ErrorCode::kCorruptFile, "'rope_theta': expected the base of RoPE, found none");
  expect_error([&] { read_config(changed(kIlladaConfig, "layer_norm_eps", 1e-5)); },
               ErrorCode::kUnsupported, "'layer_norm_eps': expected null");
  expect_error([&] { read_config(changed(kIlladaConfig, "attention_bias", true)); },
               ErrorCode::kUnsupported, "'attention_bias': expected false, found true");
  expect_error([&] { read_config(changed(kIlladaConfig, "vocab_size", 5)); },
               ErrorCode::kCorruptFile, "'mask_token_id': expected the id of the mask token");
}

const json kSdarConfig = json::parse(R"({
  "model_type": "sdar", "architectures": ["SDARForCausalLM"], "hidden_size": 8,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "num_hidden_layers": 1,
  "intermediate_size": 12, "hidden_act": "silu", "rope_theta": 1000000, "rms_norm_eps": 1e-6,
  "vocab_size": 10, "max_position_embeddings": 64, "tie_word_embeddings": false,
  "attention_bias": false, "block_size": 8, "mask_token_id": 9, "eos_token_id": 7,
  "use_sliding_window": false, "sliding_window": null, "max_window_layers": 1,
  "fuse_cross_entropy": true, "ep_size": 1, "debug": false
})");

TEST(Sdar, ReadsItsKeys) {
  const ModelConfig config = read_config(kSdarConfig, {{"eos_token_id", {8, 7}}});
  EXPECT_EQ(config.family, "sdar");
  EXPECT_EQ(config.reference, ReferenceFamily::kSdar);
  EXPECT_EQ(config.causal_block, 8);
  EXPECT_EQ(config.head_dim, 6) << "not hidden / heads";
  EXPECT_TRUE(config.qk_norm);
  EXPECT_EQ(config.logit_shift, 0);
  EXPECT_EQ(config.mask_token, 9);
  EXPECT_EQ(config.end_tokens, (std::vector<std::int32_t>{8, 7}));
}

TEST(Sdar, CopiesWithoutBlocksAndMaskHaveThePublishedOnes) {
  json config = changed(kSdarConfig, "vocab_size", 151936);
  config.erase("block_size");
  config.erase("mask_token_id");
  EXPECT_EQ(read_config(config).causal_block, 4);
  EXPECT_EQ(read_config(config).mask_token, 151669);
}

TEST(Sdar, RefusesWhatItDoesNotCompute) {
  expect_refused(kSdarConfig, "attention_bias", true, ErrorCode::kUnsupported);
  expect_refused(kSdarConfig, "use_qk_norm", false, ErrorCode::kUnsupported);
  expect_refused(kSdarConfig, "use_regular_causal", true, ErrorCode::kUnsupported);
  expect_refused(kSdarConfig, "use_sliding_window", true, ErrorCode::kUnsupported);
  expect_refused(kSdarConfig, "block_size", 0, ErrorCode::kCorruptFile);
  expect_refused(kSdarConfig, "block_size", 65, ErrorCode::kCorruptFile);
  expect_error([] { read_config(changed(kSdarConfig, "model_type", "sdar_moe")); },
               ErrorCode::kUnsupported, "found 'sdar_moe'");
}

const json kFastDllmV2Config = json::parse(R"({
  "model_type": "Fast_dLLM_Qwen", "architectures": ["Fast_dLLM_QwenForCausalLM"],
  "hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
  "intermediate_size": 12, "hidden_act": "silu", "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
  "vocab_size": 10, "max_position_embeddings": 64, "tie_word_embeddings": true, "bd_size": 16,
  "eos_token_id": 8, "layer_types": ["full_attention", "full_attention"],
  "use_sliding_window": false, "sliding_window": null, "max_window_layers": 28
})");

TEST(FastDllmV2, ReadsItsKeys) {
  const ModelConfig config = read_config(kFastDllmV2Config);
  EXPECT_EQ(config.family, "fast_dllm_v2");
  EXPECT_EQ(config.reference, ReferenceFamily::kFastDllmV2);
  EXPECT_EQ(config.causal_block, 16);
  EXPECT_EQ(config.logit_shift, 1);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_FALSE(config.qk_norm);
  EXPECT_EQ(config.mask_token, -1) << "its tokenizer names it";
  json published = kFastDllmV2Config;
  published["bd_size"] = nullptr;
  EXPECT_EQ(read_config(published).causal_block, 32);
  EXPECT_EQ(read_config(changed(published, "mask_token_id", 3)).mask_token, 3);
}

TEST(FastDllmV2, RefusesWhatItDoesNotCompute) {
  expect_refused(kFastDllmV2Config, "bd_size", 0, ErrorCode::kCorruptFile);
  expect_refused(kFastDllmV2Config, "block_size", 4, ErrorCode::kUnsupported);
  expect_refused(kFastDllmV2Config, "layer_types", json({"full_attention", "sliding_attention"}),
                 ErrorCode::kUnsupported);
}

// Dream's descendant with Qwen3's norms and whole blocks, which nothing here computes yet.
TEST(Dream, ItsBlockCausalDescendantIsRefused) {
  json config = kFastDllmV2Config;
  config["model_type"] = "Dream";
  config["architectures"] = {"DreamForCausalLM"};
  config["mask_token_id"] = 9;
  config.erase("bd_size");
  config["block_size"] = 32;
  expect_error([&] { read_config(config); }, ErrorCode::kUnsupported, "'block_size'");
}

}  // namespace
}  // namespace fdllm
