#pragma once
#include <cstdint>

#include "fastdllm/engine.h"

#include "decode/decoder.h"

namespace fdllm {

/// What a request decodes: a prompt and its continuation, or a text with holes.
struct RequestCanvas {
  CanvasKind kind;
  std::int32_t prompt_length;  ///< positions before the first mask
  std::int32_t length;         ///< of the whole canvas
  GenerateOptions options;     ///< the request's, with the gen_length that the canvas has

  /// Throws kInvalidArgument where holes are not ascending positions of the canvas.
  explicit RequestCanvas(const GenerateRequest& request);
  static Canvas make(const GenerateRequest& request, std::int32_t mask_token);
};

}  // namespace fdllm
