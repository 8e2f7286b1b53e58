#include <array>

#include "base/check.h"
#include "model/families/families.h"
#include "model/families/gguf.h"
#include "model/families/hf_decoder.h"
#include "model/families/read.h"
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
  refuse_unknown_variants(config);
  ModelConfig model =
      read_hf_decoder(config, {.rms_eps = 1e-6, .rope_theta = kDefaultTheta, .qkv_bias = true});
  set_traits(model);
  read_tokens(checkpoint, model);
  return model;
}

constexpr std::array<std::string_view, 1> kEndTokenTexts = {"<|im_end|>"};

}  // namespace

const Family kDream = {
    .name = "dream",
    .matches = matches,
    .read_config = read_config,
    .safetensors_names = kHfDecoderTensorNames,
    .gguf_names = kGgufTensorNames,
    .end_token_texts = kEndTokenTexts,
};

}  // namespace fdllm
