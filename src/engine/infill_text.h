#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

#include "engine/hole_text.h"

namespace fdllm {

/// A text with holes as a model sees it: makes its canvases and reads them when they are filled.
class InfillText {
 public:
  /// Positions [begin, end) of a part on a canvas.
  struct Place {
    std::int32_t begin = 0, end = 0;
  };

  /// Tokenizes the given parts, which stand behind the tokens `before`. `where` is named in errors;
  /// `engine` must outlive it.
  InfillText(const Engine& engine, std::vector<TextPart> parts, std::vector<std::int32_t> before,
             std::string_view where);

  const std::vector<TextPart>& parts() const { return parts_; }
  /// The canvas where the holes have these lengths, in their order, without options. Throws
  /// kInvalidArgument where that is longer than the model allows.
  GenerateRequest canvas(std::span<const std::int32_t> lengths) const;
  /// Where the parts lie on that canvas.
  std::vector<Place> places(std::span<const std::int32_t> lengths) const;
  /// The text of a part: as it was given, or what fills the hole at `place` of a canvas.
  std::string text_of(std::size_t part, Place place, std::span<const std::int32_t> canvas) const;

 private:
  const Engine& engine_;
  std::vector<TextPart> parts_;
  std::vector<std::int32_t> before_;
  std::string where_;
  std::vector<std::vector<std::int32_t>> ids_;  ///< of each part; of holes none
};

}  // namespace fdllm
