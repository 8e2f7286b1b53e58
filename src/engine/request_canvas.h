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

  /// Where the request gives no gen_length, it is the default, or what is left of `max_positions`.
  /// Throws kInvalidArgument where holes are not ascending positions of the canvas.
  RequestCanvas(const GenerateRequest& request, std::int64_t max_positions);
  /// `request` is the same.
  Canvas make(const GenerateRequest& request, std::int32_t mask_token) const;
};

}  // namespace fdllm
