#include "decode/canvas.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/check.h"

namespace fdllm {

Canvas::Canvas(std::span<const std::int32_t> prompt, std::int32_t gen_length,
               std::int32_t mask_token, std::int32_t spare)
    : mask_token_(mask_token), spare_(spare), masked_count_(gen_length + spare) {
  check(gen_length >= 0 && spare >= 0, "a canvas of a negative length");
  check(mask_token >= 0, "a canvas without a mask token");
  const auto limit = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
  const auto masks = static_cast<std::size_t>(gen_length) + static_cast<std::size_t>(spare);
  check(prompt.size() <= limit - masks, "a canvas too long to index");
  prompt_length_ = static_cast<std::int32_t>(prompt.size());
  tokens_.assign(prompt.begin(), prompt.end());
  tokens_.resize(prompt.size() + masks, mask_token);
  masked_.assign(tokens_.size(), 0);
  std::fill(masked_.begin() + prompt_length_, masked_.end(), std::uint8_t{1});
}

Canvas Canvas::with_holes(std::span<const std::int32_t> tokens, std::span<const std::int32_t> holes,
                          std::int32_t mask_token) {
  check(!holes.empty() && holes.front() >= 0 &&
            holes.back() < static_cast<std::int64_t>(tokens.size()) &&
            std::adjacent_find(holes.begin(), holes.end(), std::greater_equal<>()) == holes.end(),
        "holes inside the canvas, ascending");
  Canvas canvas(tokens, 0, mask_token);
  canvas.prompt_length_ = holes.front();
  canvas.masked_count_ = static_cast<std::int32_t>(holes.size());
  for (const std::int32_t hole : holes) {
    canvas.tokens_[hole] = mask_token;
    canvas.masked_[hole] = 1;
  }
  return canvas;
}

std::int32_t Canvas::masked_count(Range range) const {
  check(range.begin >= 0 && range.begin <= range.end && range.end <= length(),
        "a range outside the canvas");
  return static_cast<std::int32_t>(
      std::count(masked_.begin() + range.begin, masked_.begin() + range.end, std::uint8_t{1}));
}

std::vector<std::int32_t> Canvas::masked_positions(Range range) const {
  std::vector<std::int32_t> positions;
  positions.reserve(static_cast<std::size_t>(masked_count(range)));
  for (std::int32_t i = range.begin; i < range.end; ++i) {
    if (masked(i)) positions.push_back(i);
  }
  return positions;
}

void Canvas::commit(std::int32_t position, std::int32_t token) {
  check(position >= 0 && position < length(), "a commit outside the canvas");
  check(masked(position), "a commit at a position that is not masked");
  check(token >= 0 && token != mask_token_, "a commit of the mask token or of no token");
  tokens_[position] = token;
  masked_[position] = 0;
  --masked_count_;
}

}  // namespace fdllm
