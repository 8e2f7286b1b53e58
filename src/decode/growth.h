#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "backend/score.h"
#include "base/range.h"

namespace fdllm {

/// A canvas that begins short and grows: gen_length is then a limit, not a length (after DAEDAL,
/// arXiv 2508.00819, which grows the canvas before it decodes; here the two alternate, so that
/// looking costs no forward of its own).
///
/// The first forward of each block also scores the last positions of the canvas so far. A model
/// that sees room enough expects end tokens there; where it does not, the canvas grows by a block.
/// It grows too when it is full without an end token.
class CanvasGrowth {
 public:
  CanvasGrowth(Range first, std::int32_t block_length, std::int32_t limit)
      : begin_(first.begin), end_(first.end), block_length_(block_length), limit_(limit) {}

  /// Where the canvas ends now.
  std::int32_t end() const { return end_; }
  bool may_grow() const { return end_ < limit_; }
  /// The positions whose scores observe() wants.
  Range tail() const { return {std::max(begin_, end_ - kTailLength), end_}; }
  /// `scores`: of the masked positions of tail(), before the forward's own commits.
  void observe(std::span<const Score> scores, std::span<const std::int32_t> end_tokens);
  void grow() { end_ = std::min(end_ + block_length_, limit_); }

 private:
  static constexpr std::int32_t kTailLength = 8;

  std::int32_t begin_, end_, block_length_, limit_;
};

}  // namespace fdllm
