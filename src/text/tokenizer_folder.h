#pragma once
#include <filesystem>

#include "text/tokenizer_json.h"

namespace fdllm {

/// What read_folder_tokenizer() makes a tokenizer of: tokenizer.json, or one made from vocab.json,
/// merges.txt and the files of added tokens; with the BOS and EOS that tokenizer_config.json asks
/// for in its post-processor.
TokenizerDocument read_folder_document(const std::filesystem::path& folder);

}  // namespace fdllm
