#include "model/families/gguf.h"

#include <functional>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint_test_files.h"
#include "formats/gguf_writer.h"
#include "model/config.h"

namespace fdllm {
namespace {

using testing_files::TemporaryFolder;

/// A small GGUF model of either family, to be changed before it is written.
struct SmallModel {
  std::map<std::string, GgufValue> values;
  std::map<std::string, std::vector<std::int64_t>> tensors;

  explicit SmallModel(const std::string& architecture) {
    const std::string prefix = architecture + '.';
    const bool dream = architecture == "dream";
    values = {
        {"general.architecture", architecture},
        {prefix + "embedding_length", 8u},
        {prefix + "block_count", 1u},
        {prefix + "attention.head_count", 4u},
        {prefix + "attention.head_count_kv", 2u},
        {prefix + "feed_forward_length", 12u},
        {prefix + "context_length", 64u},
        {prefix + "rope.freq_base", 500000.0f},
        {prefix + "attention.layer_norm_rms_epsilon", 1e-6f},
        {prefix + "attention.causal", false},
        {"tokenizer.ggml.tokens", std::vector<std::string>(10, "x")},
        {"tokenizer.ggml.mask_token_id", 9u},
        {"tokenizer.ggml.eos_token_id", 8u},
    };
    if (!dream) values["diffusion.shift_logits"] = false;
    tensors = {{"token_embd.weight", {10, 8}},   {"output_norm.weight", {8}},
               {"output.weight", {10, 8}},       {"blk.0.attn_norm.weight", {8}},
               {"blk.0.attn_q.weight", {8, 8}},  {"blk.0.attn_k.weight", {4, 8}},
               {"blk.0.attn_v.weight", {4, 8}},  {"blk.0.attn_output.weight", {8, 8}},
               {"blk.0.ffn_norm.weight", {8}},   {"blk.0.ffn_gate.weight", {12, 8}},
               {"blk.0.ffn_up.weight", {12, 8}}, {"blk.0.ffn_down.weight", {8, 12}}};
    if (dream) {
      tensors["blk.0.attn_q.bias"] = {8};
      tensors["blk.0.attn_k.bias"] = {4};
      tensors["blk.0.attn_v.bias"] = {4};
    }
  }

  std::unique_ptr<Checkpoint> open() const {
    GgufWriter writer;
    for (const auto& [key, value] : values) writer.add(key, value);
    for (const auto& [name, shape] : tensors) {
      std::size_t bytes = 4;
      for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
      writer.add_tensor(name, DType::kF32, shape,
                        [bytes](const GgufSink& sink) { sink(std::vector<std::byte>(bytes)); });
    }
    const TemporaryFolder folder;
    writer.write(folder.path() / "model.gguf");
    return open_checkpoint(folder.path() / "model.gguf");
  }

  ModelConfig config() const {
    const auto checkpoint = open();
    const Family& family = family_of(*checkpoint);
    ModelConfig config = family.read_config(*checkpoint);
    resolve_tensors(*checkpoint, family, config);
    return config;
  }
};

void expect_error(const std::string& architecture, const std::function<void(SmallModel&)>& change,
                  ErrorCode code, const std::string& part) {
  SmallModel model(architecture);
  change(model);
  try {
    model.config();
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(GgufFamilies, Llada) {
  const ModelConfig config = SmallModel("llada").config();
  EXPECT_EQ(config.family, "llada");
  EXPECT_EQ(config.hidden, 8);
  EXPECT_EQ(config.layers, 1);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 2);
  EXPECT_EQ(config.ffn, 12);
  EXPECT_EQ(config.vocab, 10);
  EXPECT_EQ(config.max_positions, 64);
  EXPECT_EQ(config.rms_eps, 1e-6f);
  EXPECT_EQ(config.rope_theta, 500000.0);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_TRUE(config.interleaved_query_key);
  EXPECT_EQ(config.logit_shift, 0);
  EXPECT_EQ(config.mask_token, 9);
  EXPECT_EQ(config.end_tokens, std::vector<std::int32_t>{8});
  EXPECT_EQ(config.reference, ReferenceFamily::kLlada);
}

TEST(GgufFamilies, Dream) {
  const ModelConfig config = SmallModel("dream").config();
  EXPECT_EQ(config.family, "dream");
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.interleaved_query_key);
  EXPECT_EQ(config.logit_shift, 1);
  EXPECT_EQ(config.reference, ReferenceFamily::kDream);
}

TEST(GgufFamilies, OptionalKeysAndTensors) {
  SmallModel model("llada");
  model.values["llada.vocab_size"] = 7u;
  model.values["tokenizer.ggml.mask_token_id"] = 6u;
  model.values["tokenizer.ggml.eos_token_id"] = 4u;
  model.values["tokenizer.ggml.eot_token_id"] = 5u;
  model.values["llada.rope.dimension_count"] = 2u;
  model.values.erase("llada.rope.freq_base");
  model.tensors.erase("output.weight");
  const ModelConfig config = model.config();
  EXPECT_EQ(config.vocab, 7);
  EXPECT_EQ(config.end_tokens, (std::vector<std::int32_t>{4, 5}));
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_TRUE(config.tied_embeddings);
}

TEST(GgufFamilies, WhatContradictsItself) {
  expect_error(
      "llada", [](auto& m) { m.values.erase("tokenizer.ggml.mask_token_id"); },
      ErrorCode::kCorruptFile, "'tokenizer.ggml.mask_token_id': expected the id");
  expect_error(
      "llada", [](auto& m) { m.values["tokenizer.ggml.mask_token_id"] = 10u; },
      ErrorCode::kCorruptFile, "expected a token from 0 to 9, found 10");
  expect_error(
      "llada", [](auto& m) { m.values["tokenizer.ggml.eos_token_id"] = 9u; },
      ErrorCode::kCorruptFile, "found 9, the mask");
  expect_error(
      "llada", [](auto& m) { m.values["diffusion.shift_logits"] = true; }, ErrorCode::kCorruptFile,
      "'diffusion.shift_logits': expected false, found true");
  expect_error(
      "dream", [](auto& m) { m.values["diffusion.shift_logits"] = false; }, ErrorCode::kCorruptFile,
      "'diffusion.shift_logits': expected true, found false");
  expect_error(
      "llada", [](auto& m) { m.values["llada.attention.head_count"] = 3u; },
      ErrorCode::kCorruptFile, "'llada.embedding_length': expected a multiple of the 3");
  expect_error(
      "llada", [](auto& m) { m.values["llada.rope.dimension_count"] = 1u; },
      ErrorCode::kCorruptFile, "'llada.rope.dimension_count'");
  expect_error(
      "llada", [](auto& m) { m.values.erase("tokenizer.ggml.tokens"); }, ErrorCode::kCorruptFile,
      "expected 2 to");
  expect_error(
      "llada",
      [](auto& m) {
        m.tensors["blk.0.attn_k.weight"] = {8, 8};
      },
      ErrorCode::kCorruptFile, "'blk.0.attn_k.weight': expected shape [4, 8]");
  expect_error(
      "llada", [](auto& m) { m.tensors.erase("blk.0.ffn_up.weight"); }, ErrorCode::kNotFound,
      "'blk.0.ffn_up.weight'");
}

TEST(GgufFamilies, OtherModelsAreRefused) {
  expect_error(
      "llama", [](auto&) {}, ErrorCode::kUnsupported,
      "'general.architecture': expected one that this engine knows (llada, dream), found "
      "'llama'");
  expect_error(
      "llada", [](auto& m) { m.values["llada.attention.causal"] = true; }, ErrorCode::kUnsupported,
      "'llada.attention.causal'");
  expect_error(
      "llada", [](auto& m) { m.values["llada.rope.scaling.type"] = std::string("yarn"); },
      ErrorCode::kUnsupported, "'llada.rope.scaling.type'");
  for (const char* key : {"rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor",
                          "attention.sliding_window", "attn_logit_softcapping", "logit_scale"}) {
    const std::string name = std::string("llada.") + key;
    expect_error(
        "llada", [&](auto& m) { m.values[name] = 4.0f; }, ErrorCode::kUnsupported, name);
  }
  expect_error(
      "llada", [](auto& m) { m.values["llada.expert_count"] = 8u; }, ErrorCode::kUnsupported,
      "'llada.expert_count'");
  expect_error(
      "llada", [](auto& m) { m.values["llada.rope.freq_base_swa"] = 10000.0f; },
      ErrorCode::kUnsupported, "'llada.rope.freq_base_swa'");
  expect_error(
      "llada", [](auto& m) { m.tensors["blk.0.attn_output.bias"] = {8}; }, ErrorCode::kUnsupported,
      "'blk.0.attn_output.bias'");
  expect_error(
      "llada", [](auto& m) { m.tensors["rope_freqs.weight"] = {1}; }, ErrorCode::kUnsupported,
      "'rope_freqs.weight'");
}

}  // namespace
}  // namespace fdllm
