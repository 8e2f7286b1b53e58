#include "model/families/families.h"
#include "model/families/hf_decoder.h"
#include "model/families/read.h"
#include "model/families/variants.h"

// iLLaDA (GSAI-ML on the Hugging Face hub): Llama's transformer with grouped queries, attending
// both ways. Keys are those of its configuration_illada.py.
namespace fdllm {
namespace {

// Neither config.json nor the tokenizer names the mask: its authors do ("by setting mask_id=5").
constexpr std::int32_t kMaskToken = 5;

bool matches(const Checkpoint& checkpoint) {
  return is_model(checkpoint, "illada", "ILLaDAForCausalLM", "");
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  const Metadata& config = checkpoint.config();
  refuse_unknown_variants(config);
  expect_flag(config, "attention_bias", false, false);
  expect_absent(config, "layer_norm_eps");  // where given, norms are no RMS norms
  ModelConfig model = read_hf_decoder(config, {.rms_eps = 1e-6, .tied_embeddings = true});
  model.family = "illada";
  model.reference = ReferenceFamily::kLlada;
  read_tokens(checkpoint, model, {.id = kMaskToken});
  return model;
}

}  // namespace

const Family kIllada = {
    .name = "illada",
    .matches = matches,
    .read_config = read_config,
    .safetensors_names = kHfDecoderTensorNames,
};

}  // namespace fdllm
