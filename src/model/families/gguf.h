#pragma once
#include <cstdint>
#include <string_view>

#include "formats/checkpoint.h"
#include "model/config.h"

namespace fdllm {

/// llama.cpp's names of a dense transformer's tensors.
inline constexpr TensorNames kGgufTensorNames = {
    .embedding = "token_embd.weight",
    .final_norm = "output_norm.weight",
    .head = "output.weight",
    .attention_norm = "blk.{}.attn_norm.weight",
    .q = "blk.{}.attn_q.weight",
    .k = "blk.{}.attn_k.weight",
    .v = "blk.{}.attn_v.weight",
    .attention_out = "blk.{}.attn_output.weight",
    .ffn_norm = "blk.{}.ffn_norm.weight",
    .gate = "blk.{}.ffn_gate.weight",
    .up = "blk.{}.ffn_up.weight",
    .down = "blk.{}.ffn_down.weight",
    .q_bias = "blk.{}.attn_q.bias",
    .k_bias = "blk.{}.attn_k.bias",
    .v_bias = "blk.{}.attn_v.bias",
};

/// What llama.cpp's keys `architecture`.* and tokenizer.ggml.* say of the model's shape and special
/// tokens; head and biases are there where the file has them. What makes a family is left to it.
/// Throws kCorruptFile, or kUnsupported for variants that this engine doesn't compute.
ModelConfig read_gguf_config(const Checkpoint& checkpoint, std::string_view architecture);

/// kCorruptFile where diffusion.shift_logits is there and says something else.
void expect_logit_shift(const Metadata& config, std::int32_t logit_shift);

}  // namespace fdllm
