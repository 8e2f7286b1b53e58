#include <array>

#include "model/families/families.h"
#include "model/families/hf_decoder.h"
#include "model/families/read.h"
#include "model/families/variants.h"

// Fast-dLLM v2 (Efficient-Large-Model on the Hugging Face hub): Qwen2.5's transformer, attending
// both ways within a block and to all blocks before it, each token predicted one position early.
namespace fdllm {
namespace {

constexpr std::int32_t kBlockLength = 32;  // its configuration class's
constexpr std::array<std::string_view, 1> kComputed = {"bd_size"};

bool matches(const Checkpoint& checkpoint) {
  return is_model(checkpoint, "Fast_dLLM_Qwen", "Fast_dLLM_QwenForCausalLM", "");
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  const Metadata& config = checkpoint.config();
  refuse_unknown_variants(config, kComputed);
  ModelConfig model =
      read_hf_decoder(config, {.rms_eps = 1e-6, .rope_theta = 10000.0, .qkv_bias = true});
  model.family = "fast_dllm_v2";
  model.reference = ReferenceFamily::kFastDllmV2;
  model.logit_shift = 1;
  model.causal_block = static_cast<std::int32_t>(
      integer_or(config, "bd_size", kBlockLength, 1, model.max_positions));
  read_tokens(checkpoint, model, {.in_tokenizer = true});
  return model;
}

constexpr std::array<std::string_view, 1> kEndTokenTexts = {"<|im_end|>"};
constexpr std::array<std::string_view, 2> kMaskTokenTexts = {"|<MASK>|", "<|MASK|>"};

}  // namespace

const Family kFastDllmV2 = {
    .name = "fast_dllm_v2",
    .matches = matches,
    .read_config = read_config,
    .safetensors_names = kHfDecoderTensorNames,
    .end_token_texts = kEndTokenTexts,
    .mask_token_texts = kMaskTokenTexts,
};

}  // namespace fdllm
