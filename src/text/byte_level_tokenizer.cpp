#include "text/byte_level_tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "text/normalizer.h"

namespace fdllm {

const SurroundingTokens& Tokenizer::surrounding() const {
  static const SurroundingTokens kNone;
  return kNone;
}

ByteLevelTokenizer::ByteLevelTokenizer(ByteLevelParts parts)
    : bpe_(std::move(parts.bpe)),
      pre_tokenizer_(std::move(parts.pre_tokenizer)),
      nfc_(parts.nfc),
      surrounding_(std::move(parts.surrounding)) {
  vocab_size_ = bpe_.size();
  for (AddedToken& token : parts.added) {
    if (token.normalized) {
      normalized_.add(nfc_ ? normalize_nfc(token.content) : token.content, token);
    } else {
      literal_.add(token.content, token);
    }
    vocab_size_ = std::max(vocab_size_, token.id + 1);
    added_ids_.emplace(token.content, token.id);
    added_.emplace(token.id, std::move(token));
  }
}

/// The ids of one text as they come, and the limit on their number.
class ByteLevelTokenizer::Encoding {
 public:
  Encoding(const ByteLevelTokenizer& tokenizer, std::size_t most)
      : tokenizer_(tokenizer), most_(most) {}

  void add_text(std::string_view valid) {
    for (const TextPart& part : tokenizer_.literal_.split(valid, most_)) {
      if (part.id) {
        add(*part.id);
      } else if (tokenizer_.nfc_) {
        add_normalized(normalize_nfc(part.text));
      } else {
        add_normalized(part.text);
      }
    }
  }

  std::vector<std::int32_t> take() { return std::move(ids_); }

 private:
  void require(std::size_t further) const {
    if (ids_.size() + further > most_) {
      fail(ErrorCode::kInvalidArgument, "the text has at least {} tokens; at most {} fit",
           ids_.size() + further, most_);
    }
  }

  void add(std::int32_t id) {
    require(1);
    ids_.push_back(id);
  }

  void add_normalized(std::string_view text) {
    for (const TextPart& part : tokenizer_.normalized_.split(text, most_)) {
      if (part.id) {
        add(*part.id);
      } else {
        add_pieces(part.text);
      }
    }
  }

  void add_pieces(std::string_view text) {
    const Bpe& bpe = tokenizer_.bpe_;
    const bool limited = most_ != kNoLimit;
    // Cutting up only makes more tokens of a text, unless it throws some of it away.
    if (limited && tokenizer_.pre_tokenizer_.keeps_all()) require(bpe.fewest_tokens(text));
    const Pieces pieces = tokenizer_.pre_tokenizer_.split(text);
    for (const std::string_view piece : pieces.views) {
      if (limited && piece.size() > kLongPiece) require(bpe.fewest_tokens(piece));
      bpe.encode(piece, ids_);
      require(0);
    }
  }

  /// Bytes above which a piece is looked at before it is merged.
  static constexpr std::size_t kLongPiece = 4096;

  const ByteLevelTokenizer& tokenizer_;
  std::size_t most_;
  std::vector<std::int32_t> ids_;
};

std::vector<std::int32_t> ByteLevelTokenizer::encode(std::string_view text,
                                                     std::size_t most) const {
  Encoding encoding(*this, most);
  encoding.add_text(to_valid_utf8(text));
  return encoding.take();
}

std::string ByteLevelTokenizer::decode_bytes(std::span<const std::int32_t> ids,
                                             bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    const auto added = added_.find(id);
    if (added != added_.end() && skip_special && added->second.special) continue;
    // An added token that is no vocabulary entry stands for its own text. (`tokenizers` would read
    // even that as byte spelling, which damages texts such as "é".)
    if (id >= 0 && bpe_.has(id)) {
      bytes += bpe_.bytes_of(id);
    } else if (added != added_.end()) {
      bytes += added->second.content;
    } else if (id >= 0 && id < vocab_size_) {
      fail(ErrorCode::kInvalidArgument,
           "no token has the id {}: it is a gap among the tokenizer's ids from 0 to {}", id,
           vocab_size_ - 1);
    } else {
      fail(ErrorCode::kInvalidArgument, "no token has the id {}: the tokenizer's go from 0 to {}",
           id, vocab_size_ - 1);
    }
  }
  return bytes;
}

bool ByteLevelTokenizer::is_special(std::int32_t id) const {
  const auto added = added_.find(id);
  return added != added_.end() && added->second.special;
}

bool ByteLevelTokenizer::has(std::int32_t id) const {
  return id >= 0 && (bpe_.has(id) || added_.contains(id));
}

std::optional<std::int32_t> ByteLevelTokenizer::find(std::string_view token) const {
  const auto added = added_ids_.find(std::string(token));
  if (added != added_ids_.end()) return added->second;
  return bpe_.find(token);
}

}  // namespace fdllm
