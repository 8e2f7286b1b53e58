#include "bench/random_model.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "base/dtype.h"
#include "formats/hf_config.h"
#include "model/config.h"

namespace fdllm::bench {
namespace {

ModelConfig config_of(const Checkpoint& checkpoint) {
  return family_of(checkpoint).read_config(checkpoint);
}

/// A checkpoint that is nothing but a configuration.
class ConfigOnly final : public Checkpoint {
 public:
  explicit ConfigOnly(Metadata config) : config_(std::move(config)) {}
  const std::filesystem::path& path() const override { return path_; }
  std::string_view format() const override { return "safetensors"; }
  const Metadata& config() const override { return config_; }
  const Metadata& generation() const override { return generation_; }
  const TensorView* find(std::string_view) const override { return nullptr; }
  std::vector<std::string> names() const override { return {}; }

 private:
  std::filesystem::path path_ = "config only";
  Metadata config_, generation_;
};

TEST(Shapes, HaveThePublishedSizes) {
  const ModelConfig llada = config_of(ConfigOnly(shape_config(find_shape("llada-8b"))));
  EXPECT_EQ(llada.family, "llada");
  EXPECT_EQ(llada.hidden, 4096);
  EXPECT_EQ(llada.layers, 32);
  EXPECT_EQ(llada.heads, 32);
  EXPECT_EQ(llada.kv_heads, 32);
  EXPECT_EQ(llada.head_dim, 128);
  EXPECT_EQ(llada.ffn, 12288);
  EXPECT_EQ(llada.vocab, 126464);
  EXPECT_EQ(llada.mask_token, 126336);
  EXPECT_EQ(llada.rope_theta, 500000.0);
  EXPECT_EQ(llada.rms_eps, 1e-5f);
  EXPECT_EQ(llada.logit_shift, 0);
  EXPECT_FALSE(llada.qkv_bias);
  EXPECT_FALSE(llada.tied_embeddings);
  const ModelConfig dream = config_of(ConfigOnly(shape_config(find_shape("dream-7b"))));
  EXPECT_EQ(dream.family, "dream");
  EXPECT_EQ(dream.hidden, 3584);
  EXPECT_EQ(dream.layers, 28);
  EXPECT_EQ(dream.heads, 28);
  EXPECT_EQ(dream.kv_heads, 4);
  EXPECT_EQ(dream.head_dim, 128);
  EXPECT_EQ(dream.ffn, 18944);
  EXPECT_EQ(dream.vocab, 152064);
  EXPECT_EQ(dream.mask_token, 151666);
  EXPECT_EQ(dream.rope_theta, 1000000.0);
  EXPECT_EQ(dream.rms_eps, 1e-6f);
  EXPECT_EQ(dream.logit_shift, 1);
  EXPECT_TRUE(dream.qkv_bias);
  EXPECT_FALSE(dream.tied_embeddings);
}

TEST(Shapes, OfTheShippedModelsAreTheirs) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    const auto shipped =
        config_of(*open_checkpoint(std::string(FASTDLLM_SOURCE_DIR) + "/models/" + name));
    const ModelConfig shape = config_of(ConfigOnly(shape_config(find_shape(name))));
    EXPECT_EQ(shape.family, shipped.family);
    EXPECT_EQ(shape.hidden, shipped.hidden);
    EXPECT_EQ(shape.layers, shipped.layers);
    EXPECT_EQ(shape.heads, shipped.heads);
    EXPECT_EQ(shape.kv_heads, shipped.kv_heads);
    EXPECT_EQ(shape.head_dim, shipped.head_dim);
    EXPECT_EQ(shape.ffn, shipped.ffn);
    EXPECT_EQ(shape.vocab, shipped.vocab);
    EXPECT_EQ(shape.max_positions, shipped.max_positions);
    EXPECT_EQ(shape.rms_eps, shipped.rms_eps);
    EXPECT_EQ(shape.rope_theta, shipped.rope_theta);
    EXPECT_EQ(shape.tied_embeddings, shipped.tied_embeddings);
    EXPECT_EQ(shape.qkv_bias, shipped.qkv_bias);
    EXPECT_EQ(shape.logit_shift, shipped.logit_shift);
    EXPECT_EQ(shape.mask_token, shipped.mask_token);
    EXPECT_EQ(shape.end_tokens, shipped.end_tokens);
    EXPECT_EQ(shape.reference, shipped.reference);
  }
}

TEST(Shapes, AnUnknownNameIsRefusedWithTheKnownOnes) {
  try {
    find_shape("llada-9b");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("llada-8b, dream-7b"), std::string::npos);
  }
}

TEST(RandomModel, HasAllTensorsAndTheAskedDepth) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    const auto checkpoint = make_random_checkpoint(find_shape(name), 7);
    const Family& family = family_of(*checkpoint);
    const ModelConfig config = family.read_config(*checkpoint);
    EXPECT_EQ(config.layers, 7);
    const ModelTensors tensors = resolve_tensors(*checkpoint, family, config);
    EXPECT_EQ(tensors.layers.size(), 7u);
  }
  EXPECT_THROW(make_random_checkpoint(find_shape("llada-nano"), 0), Error);
}

TEST(RandomModel, MatricesAreNormalNormsAreOne) {
  const auto checkpoint = make_random_checkpoint(find_shape("dream-nano"));
  const Family& family = family_of(*checkpoint);
  const ModelTensors tensors =
      resolve_tensors(*checkpoint, family, family.read_config(*checkpoint));
  const auto values_of = [](const TensorView& tensor) {
    const auto* data = reinterpret_cast<const bf16*>(tensor.data.data());
    std::vector<float> values;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) values.push_back(to_float(data[i]));
    return values;
  };
  for (const TensorView* norm : {tensors.final_norm, tensors.layers[2].ffn_norm}) {
    for (const float value : values_of(*norm)) ASSERT_EQ(value, 1.0f);
  }
  const std::vector<float> up = values_of(*tensors.layers[1].up);
  double sum = 0, squares = 0;
  for (const float value : up) {
    sum += value;
    squares += double{value} * value;
  }
  const auto count = static_cast<double>(up.size());
  EXPECT_NEAR(sum / count, 0.0, 5 * 0.02 / std::sqrt(count));
  EXPECT_NEAR(std::sqrt(squares / count), 0.02, 0.001);
  EXPECT_NE(values_of(*tensors.layers[0].up), up);
  EXPECT_NE(values_of(*tensors.embedding), values_of(*tensors.head));
  EXPECT_NE(values_of(*tensors.layers[0].q_bias), values_of(*tensors.layers[1].q_bias));
  EXPECT_EQ(values_of(*tensors.layers[1].up), up);
}

TEST(RandomModel, MatricesShareOneBufferAndFitIt) {
  const auto checkpoint = make_random_checkpoint(find_shape("llada-nano"));
  std::size_t largest = 0;
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  for (const std::string& name : checkpoint->names()) {
    const TensorView& tensor = *checkpoint->find(name);
    ASSERT_EQ(tensor.data.size(), static_cast<std::size_t>(tensor.elements()) * 2) << name;
    if (tensor.shape.size() == 1) continue;
    largest = std::max(largest, tensor.data.size());
    begin = begin == nullptr ? tensor.data.data() : std::min(begin, tensor.data.data());
    end = std::max(end, tensor.data.data() + tensor.data.size());
  }
  EXPECT_LE(static_cast<std::size_t>(end - begin), largest + (std::size_t{1} << 17));
}

}  // namespace
}  // namespace fdllm::bench
