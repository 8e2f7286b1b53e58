#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"
#include "model/reference_family.h"

namespace fdllm {

/// The shape and traits of a model, read from a checkpoint by its family.
struct ModelConfig {
  std::string family;  ///< a name of families()
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;  ///< even
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;  ///< rows of the embedding and of the head that are used
  std::int64_t max_positions = 0;
  float rms_eps = 1e-5f;
  double rope_theta = 10000.0;
  bool tied_embeddings = false;  ///< the head is the embedding
  bool qkv_bias = false;
  bool qk_norm = false;  ///< RMS norm of each head of q and k, before RoPE
  /// The rows of q and k are stored as StoredMatrix::interleaved_heads says.
  bool interleaved_query_key = false;
  /// Token j is predicted by the hidden state of j - logit_shift (Dream: 1), row 0 by itself.
  std::int32_t logit_shift = 0;

  /// Above 0: a row attends its own block of so many positions, counted from position 0, and all
  /// before it. 0: every row attends every other.
  std::int32_t causal_block = 0;

  std::int32_t mask_token = -1;  ///< -1: the tokenizer knows it (Family::mask_token_texts)
  /// Tokens that end an answer (end of text, end of turn), from generation_config / config.
  std::vector<std::int32_t> end_tokens;

  /// Whose reference decodes like this family.
  ReferenceFamily reference = ReferenceFamily::kLlada;
};

/// The names of a layer's tensors, "{}" standing for the layer's number.
struct TensorNames {
  std::string_view embedding, final_norm, head;
  std::string_view attention_norm, q, k, v, attention_out;
  std::string_view ffn_norm, gate, up, down;
  std::string_view q_bias, k_bias, v_bias;
  std::string_view q_norm = {}, k_norm = {};
};

/// A model family is data: how to recognise it, read its configuration and name its tensors.
struct Family {
  std::string_view name;
  bool (*matches)(const Checkpoint&);
  ModelConfig (*read_config)(const Checkpoint&);
  TensorNames safetensors_names;
  TensorNames gguf_names = {};  ///< empty: GGUF files of the family are not known
  /// GGUF files hold the rows of q and k as StoredMatrix::interleaved_heads says.
  bool gguf_interleaves_query_key = false;
  /// Texts of further tokens that end an answer (end of turn), where the tokenizer has them.
  std::span<const std::string_view> end_token_texts = {};
  /// Texts of the mask token, the first that the tokenizer has counts, where no file gives its id.
  std::span<const std::string_view> mask_token_texts = {};

  bool has_gguf() const { return !gguf_names.embedding.empty(); }
};

/// The names that the family's tensors have in a checkpoint of this format.
const TensorNames& tensor_names(const Family& family, std::string_view format);

/// All families; a new one is a file in families/ and a line in families.cpp.
std::span<const Family> families();
/// The family that recognises the checkpoint; kUnsupported naming what was found and what is known.
const Family& family_of(const Checkpoint& checkpoint);

/// Views of all the tensors of a model, with dtypes and shapes checked against the configuration.
struct LayerTensors {
  const TensorView *attention_norm, *q, *k, *v, *attention_out, *ffn_norm, *gate, *up, *down;
  const TensorView *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr;
  const TensorView *q_norm = nullptr, *k_norm = nullptr;  ///< [head_dim]
};
struct ModelTensors {
  const Checkpoint* checkpoint;  ///< that the views belong to
  const TensorView* embedding;   ///< [>= vocab, hidden]
  const TensorView* final_norm;
  const TensorView* head;  ///< = embedding where tied
  std::vector<LayerTensors> layers;
  std::int64_t parameters = 0;
};
ModelTensors resolve_tensors(const Checkpoint& checkpoint, const Family& family,
                             const ModelConfig& config);

}  // namespace fdllm
