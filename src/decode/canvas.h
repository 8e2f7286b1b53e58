#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/range.h"

namespace fdllm {

/// A request's tokens, some of them masked. Masked-ness is a bit of its own, not "token == mask
/// id": a prompt that holds the mask token's text stays as it is, and infilling is a canvas with
/// holes. Masked positions hold the mask token, which is what the model is fed.
class Canvas {
 public:
  /// The prompt followed by gen_length masks, the answer, and `spare` more that only fill a block.
  Canvas(std::span<const std::int32_t> prompt, std::int32_t gen_length, std::int32_t mask_token,
         std::int32_t spare = 0);
  /// `tokens` with holes: positions, ascending, that are masked whatever the tokens say. The prompt
  /// ends at the first hole.
  static Canvas with_holes(std::span<const std::int32_t> tokens,
                           std::span<const std::int32_t> holes, std::int32_t mask_token);

  std::int32_t length() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::int32_t prompt_length() const { return prompt_length_; }
  std::int32_t gen_length() const { return answer_end() - prompt_length_; }
  /// Where the answer ends: what lies behind is no part of it.
  std::int32_t answer_end() const { return length() - spare_; }
  std::int32_t mask_token() const { return mask_token_; }

  std::span<const std::int32_t> tokens() const { return tokens_; }
  bool masked(std::int32_t position) const { return masked_[position] != 0; }
  std::int32_t masked_count() const { return masked_count_; }
  std::int32_t masked_count(Range range) const;
  /// Masked positions of `range`, ascending.
  std::vector<std::int32_t> masked_positions(Range range) const;

  /// Writes `token` at a masked position. Committing the mask token or a position that is not
  /// masked is a broken invariant (kInternal).
  void commit(std::int32_t position, std::int32_t token);

 private:
  std::vector<std::int32_t> tokens_;
  std::vector<std::uint8_t> masked_;
  std::int32_t prompt_length_;
  std::int32_t mask_token_;
  std::int32_t spare_;
  std::int32_t masked_count_;
};

}  // namespace fdllm
