#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace fdllm {

/// The kinds of tokens that GGUF's tokenizer.ggml.token_type tells apart.
enum class GgufTokenType : std::int32_t {
  kUndefined = 0,  ///< taken for a normal one, as llama.cpp does
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
  std::string pre_tokenizer;        ///< a name of llama.cpp's, see gguf_pre_tokenizers.h
  std::vector<std::string> tokens;  ///< valid UTF-8, by id
  std::vector<std::int64_t> types;  ///< GgufTokenType of each; empty: all normal
  std::vector<std::string> merges;  ///< "left right"; of a pair that comes twice the first counts
  bool nfc = false;                 ///< text is first normalized; llama.cpp has no word for it
  std::optional<std::int64_t> bos, eos;
  /// Whether these stand around a text; nullopt: as llama.cpp has it for `pre_tokenizer`.
  std::optional<bool> add_bos, add_eos;
  /// A tokenizer.json without vocabulary and merges, for what the fields above can't say (patterns
  /// without a name, flags of added tokens); it has the last word. Empty: they say all.
  std::string own;
};

/// The parts of a tokenizer.json. Throws kCorruptFile or kUnsupported with messages that start with
/// `source`.
TokenizerDocument make_gguf_document(const GgufVocabulary& vocabulary, std::string_view source);
std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufVocabulary& vocabulary,
                                               std::string_view source);

}  // namespace fdllm
