#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace fdllm {

/// A way to cut up text that llama.cpp has a name for: patterns that are applied one after the
/// other, each to the pieces that the last one made.
struct GgufPreTokenizer {
  std::span<const std::string_view> names;  ///< the first is written
  std::span<const std::string_view> patterns;
  bool ignore_merges = false;  ///< pieces that are tokens are not merged
  bool add_bos = false;        ///< where the file has no tokenizer.ggml.add_bos_token
};

std::span<const GgufPreTokenizer> gguf_pre_tokenizers();
/// Throws kUnsupported, naming the known ones, with messages that start with `source`.
const GgufPreTokenizer& find_gguf_pre_tokenizer(std::string_view name, std::string_view source);
/// All known names, for messages.
std::string known_gguf_pre_tokenizers();

/// As a tokenizer.json has it.
nlohmann::json pre_tokenizer_json(const GgufPreTokenizer& pre_tokenizer);
/// The one that is exactly a tokenizer.json's `pre_tokenizer` and `ignore_merges`; nullptr where
/// llama.cpp has no name for it. The document must be one that make_tokenizer() accepts.
const GgufPreTokenizer* name_pre_tokenizer(const nlohmann::json& tokenizer_json);

}  // namespace fdllm
