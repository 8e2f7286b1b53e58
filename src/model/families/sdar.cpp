#include <array>

#include "model/families/families.h"
#include "model/families/hf_decoder.h"
#include "model/families/read.h"
#include "model/families/variants.h"

// SDAR (JetLM on the Hugging Face hub) and what is trained from it (TraDo): Qwen3's transformer,
// attending both ways within a block and to all blocks before it.
namespace fdllm {
namespace {

// Some copies of the configuration lack them.
constexpr std::int32_t kBlockLength = 4;
constexpr std::int32_t kMaskToken = 151669;

constexpr std::array<std::string_view, 3> kComputed = {"block_size", "use_qk_norm", "qk_norm"};

bool matches(const Checkpoint& checkpoint) {
  return is_model(checkpoint, "sdar", "SDARForCausalLM", "");
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  const Metadata& config = checkpoint.config();
  refuse_unknown_variants(config, kComputed);
  expect_flag(config, "attention_bias", false, false);
  for (const std::string_view key : {"use_qk_norm", "qk_norm"}) {
    expect_flag(config, key, true, true);
  }
  ModelConfig model = read_hf_decoder(config, {.rms_eps = 1e-6, .rope_theta = 10000.0});
  model.family = "sdar";
  model.reference = ReferenceFamily::kSdar;
  model.qk_norm = true;
  model.causal_block = static_cast<std::int32_t>(
      integer_or(config, "block_size", kBlockLength, 1, model.max_positions));
  read_tokens(checkpoint, model, {.id = kMaskToken});
  return model;
}

constexpr std::array<std::string_view, 1> kEndTokenTexts = {"<|im_end|>"};

}  // namespace

const Family kSdar = {
    .name = "sdar",
    .matches = matches,
    .read_config = read_config,
    .safetensors_names = kHfDecoderTensorNames,
    .end_token_texts = kEndTokenTexts,
};

}  // namespace fdllm
