#pragma once
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace fdllm {

/// A token that a class of transformers has where the files name none.
struct DefaultToken {
  std::string_view name;  ///< "eos_token"
  std::string_view content;
};

/// What the files vocab.json and merges.txt leave to the class of transformers that reads them.
struct TokenizerClass {
  std::string_view name;     ///< without "Fast"
  std::string_view pattern;  ///< splits text; empty: GPT-2's own, which ByteLevel holds
  bool nfc = false;          ///< text is normalized first
  std::span<const DefaultToken> defaults;
};

/// The class that a folder's files name: tokenizer_config.json's `tokenizer_class`, else its
/// `auto_map`, else config.json's `tokenizer_class`, else what goes with its `model_type`. Throws
/// kUnsupported for one whose way to split is not known here.
const TokenizerClass& find_tokenizer_class(const nlohmann::json& tokenizer_config,
                                           const nlohmann::json& config);

}  // namespace fdllm
