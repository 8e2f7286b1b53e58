#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_gguf.h"
#include "text/tokenizer_json.h"

namespace fdllm {

/// A tokenizer in GGUF's terms, and in what llama.cpp will read it otherwise.
struct GgufConversion {
  GgufVocabulary vocabulary;
  std::vector<std::string> warnings;  ///< sentences
};

/// The vocabulary of a Hugging Face tokenizer, filled up with unused tokens to `size` ids.
/// `pre_tokenizer` is llama.cpp's name for the way to cut up text; empty: the name of the
/// tokenizer's own patterns, or of the nearest where llama.cpp has none for them. Where the name
/// stands for other patterns, and where GGUF lacks words for something else, the vocabulary holds
/// the tokenizer's own (GgufVocabulary::own), so that make_gguf_tokenizer() always gives the same
/// tokens. Throws kUnsupported for an unknown name.
GgufConversion convert_vocabulary(const TokenizerDocument& document, std::int64_t size,
                                  std::string_view pre_tokenizer = {});

/// Gives a vocabulary that was read from a file another name for its way to cut up text, with the
/// same care.
GgufConversion rename_pre_tokenizer(GgufVocabulary vocabulary, std::string_view source,
                                    std::string_view pre_tokenizer);

}  // namespace fdllm
