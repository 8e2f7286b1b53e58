#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "formats/checkpoint.h"
#include "model/config.h"
#include "text/chat_templates.h"
#include "text/tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace fdllm {

/// What a model needs to read and write text.
struct ModelText {
  std::string source;  ///< where the tokenizer came from, for messages
  std::unique_ptr<Tokenizer> tokenizer;
  ChatTemplates chat_templates;
};

/// From the tokenizer's files and tokenizer_config.json of a folder, or from a GGUF file's
/// metadata.
ModelText open_text(const Checkpoint& checkpoint);

/// Sets the mask token by the family's texts where no file gave its id; kCorruptFile where the
/// tokenizer has none of them.
void find_mask_token(const Family& family, const ModelText& text, ModelConfig& config);

/// Adds the tokens that end an answer by the family's texts, where the tokenizer has them.
void add_end_tokens(const Family& family, const Tokenizer& tokenizer, ModelConfig& config);

/// The tokenizer alone, without a look at the weights.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& model);

/// tokenizer.ggml.* of a GGUF file.
GgufVocabulary read_gguf_vocabulary(const Metadata& metadata);

}  // namespace fdllm
