#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace fdllm {

/// The kinds of tokens that GGUF's tokenizer.ggml.token_type tells apart.
enum class GgufTokenType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      ///< a special token
  kUserDefined = 4,  ///< an added token that isn't special
  kUnused = 5,       ///< fills up the ids; no text becomes it
  kByte = 6,
};

/// A byte-level tokenizer as GGUF stores one (tokenizer.ggml.*).
struct GgufVocabulary {
  std::string model;                ///< "gpt2": byte-level BPE
  std::string pre_tokenizer;        ///< a name of llama.cpp's, see pre_tokenizer_names()
  std::vector<std::string> tokens;  ///< valid UTF-8, by id
  std::vector<std::int64_t> types;  ///< GgufTokenType of each; empty: all normal
  std::vector<std::string> merges;  ///< "left right"
  bool nfc = false;                 ///< text is first normalized; llama.cpp has no word for it
};

/// Throws kCorruptFile or kUnsupported with messages that start with `source`.
std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufVocabulary& vocabulary,
                                               std::string_view source);

/// The names of pre-tokenizers that are known.
std::vector<std::string_view> pre_tokenizer_names();

/// The vocabulary of a Hugging Face tokenizer, filled up with unused tokens to `size` ids; also
/// checks that make_gguf_tokenizer() understands the result. `pre_tokenizer` empty: the name of the
/// one that the file describes; kUnsupported where llama.cpp has none.
GgufVocabulary read_gguf_vocabulary(const TokenizerDocument& document, std::int64_t size,
                                    std::string_view pre_tokenizer = {});

}  // namespace fdllm
