#include "model/families/variants.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/quote.h"
#include "model/families/read.h"

namespace fdllm {
namespace {

constexpr std::array<std::string_view, 11> kFlagsOff = {
    "use_sliding_window", "is_causal",  "mlp_bias",  "use_qk_norm",       "qk_norm",
    "qk_layernorm",       "norm_after", "use_alibi", "parallel_residual", "use_parallel_residual",
    "use_regular_causal"};

// Nothing, or a number that changes nothing.
struct Neutral {
  std::string_view key;
  double value;
};
constexpr std::array kNumbers = {
    Neutral{"attn_logit_softcapping", 0}, Neutral{"final_logit_softcapping", 0},
    Neutral{"final_logit_softcap", 0},    Neutral{"logit_scale", 1},
    Neutral{"logits_scaling", 1},         Neutral{"embedding_multiplier", 1},
    Neutral{"residual_multiplier", 1},    Neutral{"num_experts", 0},
    Neutral{"num_local_experts", 0},      Neutral{"n_routed_experts", 0},
    Neutral{"num_experts_per_tok", 0},
};

// Blocks that attend only what lies before them, and attention that scales otherwise.
constexpr std::array<std::string_view, 4> kAbsent = {
    "block_size", "bd_size", "attention_multiplier", "query_pre_attn_scalar"};

void check_layer_types(const Metadata& config) {
  if (!config.has("layer_types")) return;
  for (const std::string& kind : config.texts("layer_types").value_or(std::vector<std::string>{})) {
    if (kind == "full_attention") continue;
    fail(ErrorCode::kUnsupported,
         "{}: 'layer_types': expected 'full_attention' for every layer, found {}; this engine does "
         "not compute that variant",
         config.source(), quote(kind));
  }
}

}  // namespace

void refuse_unknown_variants(const Metadata& config, std::span<const std::string_view> computed) {
  const auto is_computed = [&](std::string_view key) {
    return std::find(computed.begin(), computed.end(), key) != computed.end();
  };
  for (const std::string_view key : kFlagsOff) {
    if (!is_computed(key)) expect_flag(config, key, false, false);
  }
  for (const Neutral& neutral : kNumbers) {
    const auto found = config.number(neutral.key);
    if (!found || *found == neutral.value) continue;
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected {} or nothing, found {}; this engine does not compute that variant",
         config.source(), neutral.key, neutral.value, *found);
  }
  for (const std::string_view key : kAbsent) {
    if (!is_computed(key)) expect_absent(config, key);
  }
  check_layer_types(config);
}

}  // namespace fdllm
