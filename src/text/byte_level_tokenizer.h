#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace fdllm {

/// What a byte-level BPE tokenizer is made of.
struct ByteLevelParts {
  Bpe bpe;
  std::vector<AddedToken> added;
  PreTokenizer pre_tokenizer;
  bool nfc = false;
  SurroundingTokens surrounding;
};

/// Finds added tokens, normalizes what lies between, cuts it into pieces and merges each.
class ByteLevelTokenizer final : public Tokenizer {
 public:
  explicit ByteLevelTokenizer(ByteLevelParts parts);

  std::vector<std::int32_t> encode(std::string_view text, std::size_t most) const override;
  std::string decode_bytes(std::span<const std::int32_t> ids, bool skip_special) const override;
  bool is_special(std::int32_t id) const override;
  bool has(std::int32_t id) const override;
  std::int32_t vocab_size() const override { return vocab_size_; }
  std::optional<std::int32_t> find(std::string_view token) const override;
  const SurroundingTokens& surrounding() const override { return surrounding_; }

 private:
  class Encoding;

  Bpe bpe_;
  PreTokenizer pre_tokenizer_;
  bool nfc_;
  SurroundingTokens surrounding_;
  AddedTokenMatcher literal_;
  AddedTokenMatcher normalized_;
  std::unordered_map<std::int32_t, AddedToken> added_;
  std::unordered_map<std::string, std::int32_t> added_ids_;
  std::int32_t vocab_size_ = 0;
};

}  // namespace fdllm
