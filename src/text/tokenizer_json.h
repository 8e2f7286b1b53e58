#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace fdllm {

/// The content of a tokenizer.json, and where its parts stand: in that file, or in the several that
/// a folder without one has.
struct TokenizerDocument {
  nlohmann::json root;
  std::string source;  ///< the file, for messages
  /// Another file of the vocabulary and of the merges; empty: `source`.
  std::string vocabulary_source;
  std::string merges_source;
  std::vector<std::uint32_t> merge_lines;  ///< of each merge in `merges_source`, from 1
  std::vector<std::string> added_places;   ///< "file: 'field'" of each added token
};

TokenizerDocument parse_tokenizer_document(std::string_view json, std::string_view source);

/// Throws kCorruptFile or kUnsupported naming file and field.
std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerDocument& document);

/// What cuts up text alone. Throws as make_tokenizer().
PreTokenizer make_pre_tokenizer(const TokenizerDocument& document);

}  // namespace fdllm
