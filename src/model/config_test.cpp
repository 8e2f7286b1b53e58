#include "model/config.h"

#include <functional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/config_testing.h"

namespace fdllm {
namespace {

using nlohmann::json;
using testing_files::safetensors_file;
using testing_files::TemporaryFolder;
using testing_files::TestTensor;
using testing_models::changed;
using testing_models::expect_error;
using testing_models::expect_refused;
using testing_models::read_config;

const json kLladaConfig = json::parse(R"({
  "model_type": "llada", "architectures": ["LLaDAModelLM"],
  "d_model": 8, "n_heads": 2, "n_kv_heads": 2, "n_layers": 2, "mlp_hidden_size": 12,
  "activation_type": "silu", "block_type": "llama", "block_group_size": 1, "alibi": false,
  "rope": true, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "layer_norm_type": "rms",
  "include_bias": false, "include_qkv_bias": false, "weight_tying": false,
  "vocab_size": 10, "embedding_size": 10, "max_sequence_length": 64,
  "eos_token_id": 8, "pad_token_id": 8, "mask_token_id": 9
})");

const json kDreamConfig = json::parse(R"({
  "model_type": "Dream", "architectures": ["DreamModel"],
  "hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1,
  "intermediate_size": 12, "hidden_act": "silu", "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
  "vocab_size": 10, "max_position_embeddings": 64, "tie_word_embeddings": false,
  "rope_scaling": null, "sliding_window": 131072, "use_sliding_window": false,
  "eos_token_id": 8, "mask_token_id": 9
})");

std::vector<TestTensor> llada_tensors() {
  std::vector<TestTensor> tensors = {{"model.transformer.wte.weight", {10, 8}},
                                     {"model.transformer.ln_f.weight", {8}},
                                     {"model.transformer.ff_out.weight", {10, 8}}};
  for (int i = 0; i < 2; ++i) {
    const std::string layer = fmt::format("model.transformer.blocks.{}.", i);
    tensors.push_back({layer + "attn_norm.weight", {8}});
    for (const char* name : {"q_proj", "k_proj", "v_proj", "attn_out"}) {
      tensors.push_back({fmt::format("{}{}.weight", layer, name), {8, 8}});
    }
    tensors.push_back({layer + "ff_norm.weight", {8}});
    tensors.push_back({layer + "ff_proj.weight", {12, 8}});
    tensors.push_back({layer + "up_proj.weight", {12, 8}});
    tensors.push_back({layer + "ff_out.weight", {8, 12}});
  }
  return tensors;
}

std::vector<TestTensor> dream_tensors() {
  const std::string layer = "model.layers.0.";
  return {{"model.embed_tokens.weight", {10, 8}},
          {"model.norm.weight", {8}},
          {"lm_head.weight", {10, 8}},
          {layer + "input_layernorm.weight", {8}},
          {layer + "self_attn.q_proj.weight", {8, 8}},
          {layer + "self_attn.q_proj.bias", {8}},
          {layer + "self_attn.k_proj.weight", {4, 8}},
          {layer + "self_attn.k_proj.bias", {4}},
          {layer + "self_attn.v_proj.weight", {4, 8}},
          {layer + "self_attn.v_proj.bias", {4}},
          {layer + "self_attn.o_proj.weight", {8, 8}},
          {layer + "post_attention_layernorm.weight", {8}},
          {layer + "mlp.gate_proj.weight", {12, 8}},
          {layer + "mlp.up_proj.weight", {12, 8}},
          {layer + "mlp.down_proj.weight", {8, 12}}};
}

// What a checkpoint gives: its configuration and its tensors; views are only valid inside check.
using Check = std::function<void(const ModelConfig&, const ModelTensors&)>;

void with_checkpoint(const json& config, const json& generation,
                     const std::vector<TestTensor>& tensors, const Check& check) {
  const TemporaryFolder folder;
  folder.write("config.json", config.dump());
  if (!generation.is_null()) folder.write("generation_config.json", generation.dump());
  folder.write("model.safetensors", safetensors_file(tensors));
  const auto checkpoint = open_checkpoint(folder.path());
  const Family& family = family_of(*checkpoint);
  const ModelConfig model = family.read_config(*checkpoint);
  check(model, resolve_tensors(*checkpoint, family, model));
}

TEST(Llada, ReadsItsKeys) {
  const ModelConfig model = read_config(kLladaConfig);
  EXPECT_EQ(model.family, "llada");
  EXPECT_EQ(model.hidden, 8);
  EXPECT_EQ(model.layers, 2);
  EXPECT_EQ(model.heads, 2);
  EXPECT_EQ(model.kv_heads, 2);
  EXPECT_EQ(model.head_dim, 4);
  EXPECT_EQ(model.ffn, 12);
  EXPECT_EQ(model.vocab, 10);
  EXPECT_EQ(model.max_positions, 64);
  EXPECT_EQ(model.rms_eps, 1e-5f);
  EXPECT_EQ(model.rope_theta, 500000.0);
  EXPECT_FALSE(model.tied_embeddings);
  EXPECT_FALSE(model.qkv_bias);
  EXPECT_EQ(model.logit_shift, 0);
  EXPECT_EQ(model.mask_token, 9);
  EXPECT_EQ(model.end_tokens, std::vector<std::int32_t>{8});
  EXPECT_EQ(model.reference, ReferenceFamily::kLlada);
}

TEST(Llada, OptionalKeys) {
  EXPECT_EQ(read_config(changed(kLladaConfig, "n_kv_heads", nullptr)).kv_heads, 2);
  EXPECT_EQ(read_config(changed(kLladaConfig, "n_kv_heads", 1)).kv_heads, 1);
  json multi_query = changed(kLladaConfig, "n_kv_heads", nullptr);
  multi_query["multi_query_attention"] = true;
  EXPECT_EQ(read_config(multi_query).kv_heads, 1);
  json ratio = changed(kLladaConfig, "mlp_hidden_size", nullptr);
  EXPECT_EQ(read_config(ratio).ffn, 32) << "mlp_ratio's default is 4";
  ratio["mlp_ratio"] = 3;
  EXPECT_EQ(read_config(ratio).ffn, 24);
  EXPECT_EQ(read_config(changed(kLladaConfig, "rope_theta", nullptr)).rope_theta, 10000.0);
  EXPECT_EQ(read_config(changed(kLladaConfig, "include_bias", nullptr)).qkv_bias, false);
  EXPECT_EQ(read_config(changed(kLladaConfig, "multi_query_attention", false)).kv_heads, 2);
  EXPECT_TRUE(read_config(changed(kLladaConfig, "weight_tying", true)).tied_embeddings);
  EXPECT_TRUE(read_config(changed(kLladaConfig, "include_qkv_bias", true)).qkv_bias);
  EXPECT_EQ(read_config(changed(kLladaConfig, "embedding_size", 16)).vocab, 10);
  EXPECT_EQ(read_config(changed(kLladaConfig, "embedding_size", nullptr)).vocab, 10);
}

TEST(Llada, RefusesWhatTheEngineDoesNotCompute) {
  const auto unsupported = [](const char* key, const json& value) {
    expect_refused(kLladaConfig, key, value, ErrorCode::kUnsupported);
  };
  unsupported("alibi", true);
  unsupported("rope", false);
  unsupported("rope", nullptr);
  unsupported("rope_scaling", {{"factor", 2.0}});
  unsupported("attention_layer_norm", true);
  unsupported("layer_norm_type", "default");
  unsupported("layer_norm_type", nullptr);
  unsupported("layer_norm_with_affine", false);
  unsupported("bias_for_layer_norm", true);
  unsupported("block_type", "sequential");
  unsupported("block_group_size", 2);
  unsupported("activation_type", "swiglu");
  unsupported("include_bias", true);
  unsupported("attention_bias", true);
  unsupported("input_emb_norm", true);
  unsupported("scale_logits", true);
  unsupported("clip_qkv", 8.0);
  unsupported("rope_full_precision", false);
  unsupported("rope_parameters", {{"rope_type", "yarn"}});
}

TEST(Llada, RefusesImpossibleNumbers) {
  const auto corrupt = [](const char* key, const json& value) {
    expect_refused(kLladaConfig, key, value, ErrorCode::kCorruptFile);
  };
  for (const char* key : {"d_model", "n_heads", "n_layers", "vocab_size", "max_sequence_length",
                          "n_kv_heads", "mlp_hidden_size"}) {
    for (const json& value : {json(0), json(-1), json(std::int64_t{1} << 40), json("8"), json(1.5),
                              json(true), json::array({8})}) {
      corrupt(key, value);
    }
  }
  for (const char* key :
       {"d_model", "n_heads", "n_layers", "vocab_size", "max_sequence_length", "mask_token_id"}) {
    corrupt(key, nullptr);
  }
  corrupt("d_model", 9);
  corrupt("embedding_size", 9);
  corrupt("rms_norm_eps", 0.0);
  corrupt("rms_norm_eps", 1.0);
  corrupt("rope_theta", 0.0);
  corrupt("rope_theta", -1.0);
  corrupt("rope_theta", 1e300);
  corrupt("mask_token_id", 10);
  corrupt("mask_token_id", -1);
  corrupt("eos_token_id", 10);
  corrupt("eos_token_id", json::array({8, -1}));
  corrupt("eos_token_id", 9);
  expect_error([] { read_config(changed(changed(kLladaConfig, "d_model", 12), "n_heads", 3)); },
               ErrorCode::kCorruptFile, "multiple of the key/value heads");
  json odd = changed(changed(kLladaConfig, "d_model", 6), "n_kv_heads", 2);
  expect_error([&] { read_config(odd); }, ErrorCode::kUnsupported, "even head size, found 3");
  json conflict = changed(kLladaConfig, "multi_query_attention", true);
  expect_error([&] { read_config(conflict); }, ErrorCode::kCorruptFile, "n_kv_heads");
  conflict = changed(changed(kLladaConfig, "multi_query_attention", false), "n_kv_heads", 1);
  expect_error([&] { read_config(conflict); }, ErrorCode::kCorruptFile, "n_kv_heads");
  json wide = changed(changed(kLladaConfig, "mlp_hidden_size", nullptr), "d_model", 1 << 20);
  expect_error([&] { read_config(wide); }, ErrorCode::kCorruptFile, "mlp_ratio");
}

TEST(Dream, ReadsItsKeys) {
  const ModelConfig model = read_config(kDreamConfig);
  EXPECT_EQ(model.family, "dream");
  EXPECT_EQ(model.hidden, 8);
  EXPECT_EQ(model.layers, 1);
  EXPECT_EQ(model.heads, 4);
  EXPECT_EQ(model.kv_heads, 2);
  EXPECT_EQ(model.head_dim, 2);
  EXPECT_EQ(model.ffn, 12);
  EXPECT_EQ(model.vocab, 10);
  EXPECT_EQ(model.max_positions, 64);
  EXPECT_EQ(model.rms_eps, 1e-6f);
  EXPECT_EQ(model.rope_theta, 1e6);
  EXPECT_FALSE(model.tied_embeddings);
  EXPECT_TRUE(model.qkv_bias);
  EXPECT_EQ(model.logit_shift, 1);
  EXPECT_EQ(model.reference, ReferenceFamily::kDream);
  EXPECT_EQ(read_config(changed(kDreamConfig, "head_dim", 6)).head_dim, 6);
  EXPECT_EQ(read_config(changed(kDreamConfig, "num_key_value_heads", nullptr)).kv_heads, 4);
  EXPECT_TRUE(read_config(changed(kDreamConfig, "tie_word_embeddings", true)).tied_embeddings);
}

TEST(Dream, Refusals) {
  expect_refused(kDreamConfig, "hidden_act", "gelu", ErrorCode::kUnsupported);
  expect_refused(kDreamConfig, "use_sliding_window", true, ErrorCode::kUnsupported);
  expect_refused(kDreamConfig, "rope_scaling", {{"type", "yarn"}}, ErrorCode::kUnsupported);
  expect_refused(kDreamConfig, "rope_parameters", {{"rope_theta", 1.0}}, ErrorCode::kCorruptFile);
  expect_refused(kDreamConfig, "hidden_size", 9, ErrorCode::kCorruptFile);
  expect_refused(kDreamConfig, "head_dim", 0, ErrorCode::kCorruptFile);
  expect_refused(kDreamConfig, "intermediate_size", nullptr, ErrorCode::kCorruptFile);
  expect_error([] { read_config(changed(kDreamConfig, "head_dim", 3)); }, ErrorCode::kUnsupported,
               "even head size");
  expect_error([] { read_config(changed(kDreamConfig, "num_key_value_heads", 3)); },
               ErrorCode::kCorruptFile, "multiple of the key/value heads");
}

// transformers 5 renames keys and moves RoPE's numbers; the model stays what it is.
TEST(Families, AsTransformers5Writes) {
  for (json config : {kLladaConfig, kDreamConfig}) {
    const double theta = config["rope_theta"];
    config.erase("rope_theta");
    config.erase("rope_scaling");
    EXPECT_EQ(read_config(config).rope_theta, 10000.0) << "the default of both families' classes";
    config["dtype"] = "bfloat16";
    config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", theta}};
    config["layer_types"] = {"full_attention", "full_attention"};
    EXPECT_EQ(read_config(config).rope_theta, theta);
    config["rope_theta"] = theta;  // it may stand in both places
    EXPECT_EQ(read_config(config).rope_theta, theta);
  }
}

TEST(Families, RefuseWhatNoneComputes) {
  for (const json& base : {kLladaConfig, kDreamConfig}) {
    const auto unsupported = [&](const char* key, const json& value) {
      expect_refused(base, key, value, ErrorCode::kUnsupported);
    };
    unsupported("layer_types", {"full_attention", "sliding_attention"});
    unsupported("use_sliding_window", true);
    unsupported("use_qk_norm", true);
    unsupported("mlp_bias", true);
    unsupported("is_causal", true);
    unsupported("final_logit_softcapping", 30.0);
    unsupported("num_experts", 64);
    unsupported("block_size", 32);
    unsupported("partial_rotary_factor", 0.5);
    EXPECT_NO_THROW(read_config(changed(base, "num_experts", 0)));
    EXPECT_NO_THROW(read_config(changed(base, "sliding_window", 4096)));
  }
}

TEST(Families, NamesInAnyCase) {
  for (const char* name : {"llada", "LLaDA", "LLADA"}) {
    EXPECT_EQ(read_config(changed(kLladaConfig, "model_type", name)).family, "llada");
  }
  for (const char* name : {"dream", "Dream", "DREAM"}) {
    EXPECT_EQ(read_config(changed(kDreamConfig, "model_type", name)).family, "dream");
  }
  expect_error([] { read_config(changed(kDreamConfig, "model_type", "dreams")); },
               ErrorCode::kUnsupported,
               "(llada, dream, illada, sdar, fast_dllm_v2), found 'dreams'");
  for (const json& without : {json(nullptr), json::object()}) {
    json config = kDreamConfig;
    config.erase("model_type");
    if (without.is_null()) config["model_type"] = nullptr;
    EXPECT_EQ(read_config(config).family, "dream") << "by its architecture";
  }
}

TEST(Tokens, GenerationConfigComesFirst) {
  const ModelConfig model = read_config(kLladaConfig, {{"eos_token_id", {7, 3, 7}}});
  EXPECT_EQ(model.end_tokens, (std::vector<std::int32_t>{7, 3}));
  json without = kDreamConfig;
  without.erase("mask_token_id");
  without.erase("eos_token_id");
  EXPECT_EQ(read_config(without, {{"mask_token_id", 5}}).mask_token, 5);
  EXPECT_TRUE(read_config(without, {{"mask_token_id", 5}}).end_tokens.empty());
  expect_error([&] { read_config(without); }, ErrorCode::kCorruptFile, "mask_token_id");
  expect_error(
      [] {
        read_config(kLladaConfig, {{"eos_token_id", 10}});
      },
      ErrorCode::kCorruptFile,
      "generation_config.json: 'eos_token_id': expected a token from 0 to 9, found 10");
}

TEST(Families, UnknownOnesAreNamed) {
  json config = {{"model_type", "llama"}, {"architectures", {"LlamaForCausalLM"}}};
  expect_error([&] { read_config(config); }, ErrorCode::kUnsupported,
               "config.json: 'model_type': expected a family that this engine knows (llada, dream, "
               "illada, sdar, fast_dllm_v2), found 'llama' (architecture 'LlamaForCausalLM')");
  expect_error([] { read_config(json::object()); }, ErrorCode::kUnsupported, "found 'nothing'");
  config = kLladaConfig;
  config.erase("model_type");
  EXPECT_EQ(read_config(config).family, "llada") << "by its architecture";
}

TEST(Families, AreConsistent) {
  for (const Family& family : families()) {
    EXPECT_FALSE(family.name.empty());
    const TensorNames& names = family.safetensors_names;
    for (const std::string_view name :
         {names.attention_norm, names.q, names.k, names.v, names.attention_out, names.ffn_norm,
          names.gate, names.up, names.down, names.q_bias, names.k_bias, names.v_bias}) {
      EXPECT_NE(name.find("{}"), std::string_view::npos) << family.name << ": " << name;
    }
  }
}

TEST(ResolveTensors, Llada) {
  with_checkpoint(
      kLladaConfig, nullptr, llada_tensors(), [](const ModelConfig&, const ModelTensors& tensors) {
        ASSERT_EQ(tensors.layers.size(), 2u);
        EXPECT_EQ(tensors.head->name, "model.transformer.ff_out.weight");
        EXPECT_EQ(tensors.layers[1].gate->name, "model.transformer.blocks.1.ff_proj.weight");
        EXPECT_EQ(tensors.layers[1].down->shape, (std::vector<std::int64_t>{8, 12}));
        EXPECT_EQ(tensors.layers[0].q_bias, nullptr);
        EXPECT_EQ(tensors.parameters, 168 + 2 * (16 + 4 * 64 + 3 * 96));
      });
}

TEST(ResolveTensors, Dream) {
  with_checkpoint(kDreamConfig, nullptr, dream_tensors(),
                  [](const ModelConfig&, const ModelTensors& tensors) {
                    ASSERT_EQ(tensors.layers.size(), 1u);
                    EXPECT_EQ(tensors.layers[0].v_bias->shape, std::vector<std::int64_t>{4});
                    EXPECT_EQ(tensors.layers[0].ffn_norm->name,
                              "model.layers.0.post_attention_layernorm.weight");
                  });
}

TEST(ResolveTensors, TiedAndPadded) {
  std::vector<TestTensor> tensors = llada_tensors();
  tensors[0].shape = {16, 8};
  tensors.erase(tensors.begin() + 2);
  json config = changed(kLladaConfig, "weight_tying", true);
  config["embedding_size"] = 16;
  with_checkpoint(
      config, nullptr, tensors, [](const ModelConfig& model, const ModelTensors& found) {
        EXPECT_EQ(found.head, found.embedding);
        EXPECT_EQ(found.embedding->shape[0], 16);
        EXPECT_EQ(model.vocab, 10);
        EXPECT_EQ(found.parameters, 128 + 8 + 2 * (16 + 4 * 64 + 3 * 96)) << "counted once";
      });
}

TEST(ResolveTensors, LladaWithBiases) {
  std::vector<TestTensor> tensors = llada_tensors();
  for (int i = 0; i < 2; ++i) {
    for (const char* name : {"q", "k", "v"}) {
      tensors.push_back({fmt::format("model.transformer.blocks.{}.{}_proj.bias", i, name), {8}});
    }
  }
  with_checkpoint(changed(kLladaConfig, "include_qkv_bias", true), nullptr, tensors,
                  [](const ModelConfig&, const ModelTensors& found) {
                    ASSERT_NE(found.layers[1].k_bias, nullptr);
                  });
  expect_error([&] { with_checkpoint(kLladaConfig, nullptr, tensors, {}); },
               ErrorCode::kCorruptFile, "expected no bias");
}

TEST(ResolveTensors, DreamWithoutBiases) {
  std::vector<TestTensor> tensors = dream_tensors();
  const json config = changed(kDreamConfig, "attention_bias", false);
  expect_error([&] { with_checkpoint(config, nullptr, tensors, {}); }, ErrorCode::kCorruptFile,
               "expected no bias");
  std::erase_if(tensors, [](const TestTensor& tensor) { return tensor.name.ends_with("bias"); });
  with_checkpoint(config, nullptr, tensors, [](const ModelConfig& model, const ModelTensors&) {
    EXPECT_FALSE(model.qkv_bias);
  });
}

TEST(ResolveTensors, TensorsWithoutAPlaceAreRefused) {
  const auto with = [](std::vector<TestTensor> tensors, const std::string& name) {
    tensors.push_back({name, {2}});
    return tensors;
  };
  for (const char* name :
       {"model.layers.0.self_attn.o_proj.bias", "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.mlp.up_proj.bias", "model.layers.1.input_layernorm.weight", "lm_head.bias",
        "model.norm.bias"}) {
    expect_error([&] { with_checkpoint(kDreamConfig, nullptr, with(dream_tensors(), name), {}); },
                 ErrorCode::kUnsupported, fmt::format("expected no tensor '{}'", name));
  }
  for (const char* name :
       {"model.transformer.blocks.0.attn_out.bias", "model.transformer.blocks.1.q_proj.bias",
        "model.transformer.blocks.2.attn_norm.weight", "model.transformer.emb_norm.weight"}) {
    expect_error([&] { with_checkpoint(kLladaConfig, nullptr, with(llada_tensors(), name), {}); },
                 ErrorCode::kUnsupported, fmt::format("expected no tensor '{}'", name));
  }
  const auto fine = [](const ModelConfig&, const ModelTensors&) {};
  for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq", "v_head.weight"}) {
    with_checkpoint(kDreamConfig, nullptr, with(dream_tensors(), name), fine);
  }
}

void expect_every_tensor_is_checked(const json& config, const std::vector<TestTensor>& good) {
  const auto expect_one = [&](const std::vector<TestTensor>& tensors, ErrorCode code,
                              const std::string& part) {
    expect_error([&] { with_checkpoint(config, nullptr, tensors, {}); }, code, part);
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::vector<TestTensor> tensors = good;
    tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i));
    expect_one(tensors, ErrorCode::kNotFound,
               fmt::format("expected the tensor '{}'", good[i].name));
    const std::string wrong_shape = fmt::format("'{}': expected shape ", good[i].name);
    for (std::size_t axis = 0; axis < good[i].shape.size(); ++axis) {
      tensors = good;
      tensors[i].shape[axis] -= 1;
      expect_one(tensors, ErrorCode::kCorruptFile, wrong_shape);
    }
    tensors = good;
    tensors[i].shape.push_back(1);
    expect_one(tensors, ErrorCode::kCorruptFile, wrong_shape);
    tensors = good;
    tensors[i].dtype = "I8";
    tensors[i].element_bytes = 1;
    expect_one(tensors, ErrorCode::kUnsupported, "expected dtype");
  }
}

TEST(ResolveTensors, EveryTensorIsNeededInItsShape) {
  expect_every_tensor_is_checked(kLladaConfig, llada_tensors());
  expect_every_tensor_is_checked(kDreamConfig, dream_tensors());
}

TEST(ResolveTensors, MessageSaysEverything) {
  std::vector<TestTensor> tensors = llada_tensors();
  tensors.back().shape = {8, 11};
  expect_error([&] { with_checkpoint(kLladaConfig, nullptr, tensors, {}); },
               ErrorCode::kCorruptFile,
               "model.safetensors: 'model.transformer.blocks.1.ff_out.weight': expected shape "
               "[8, 12], found [8, 11]; does config.json describe these weights?");
}

TEST(ShippedCheckpoints, OpenAndResolve) {
  for (const std::string name : {"llada", "dream"}) {
    const auto checkpoint =
        open_checkpoint(fmt::format("{}/models/{}-nano", FASTDLLM_SOURCE_DIR, name));
    const Family& family = family_of(*checkpoint);
    EXPECT_EQ(family.name, name);
    const ModelConfig config = family.read_config(*checkpoint);
    EXPECT_EQ(config.hidden, 128);
    EXPECT_EQ(config.layers, 4);
    EXPECT_EQ(config.heads, 4);
    EXPECT_EQ(config.kv_heads, name == "dream" ? 2 : 4);
    EXPECT_EQ(config.end_tokens.size(), 2u);
    const ModelTensors tensors = resolve_tensors(*checkpoint, family, config);
    EXPECT_EQ(tensors.layers.size(), 4u);
    EXPECT_EQ(tensors.layers[0].q->dtype, DType::kBF16);
    std::int64_t stored = 0;
    for (const std::string& tensor : checkpoint->names())
      stored += checkpoint->find(tensor)->elements();
    EXPECT_EQ(tensors.parameters, stored);
  }
}

}  // namespace
}  // namespace fdllm
