#pragma once
#include <cstdint>

#include "text/json_fields.h"
#include "text/tokenizer.h"

namespace fdllm {

/// Reads a tokenizer.json's `post_processor`: the tokens that `tokenizers` puts around one text
/// when it is asked to add special tokens. TemplateProcessing (its `single`), RobertaProcessing,
/// BertProcessing, ByteLevel (which adds none) and Sequences of those; null adds none. Ids are
/// below `vocab_size`. Throws kCorruptFile or kUnsupported with the field.
SurroundingTokens read_post_processor(const nlohmann::json& node, const JsonFields& fields,
                                      std::int32_t vocab_size);

/// A TemplateProcessing that puts these around a text.
nlohmann::json template_processing(const SurroundingTokens& surrounding);

}  // namespace fdllm
