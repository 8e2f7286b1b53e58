#include "engine/request_canvas.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace fdllm {

RequestCanvas::RequestCanvas(const GenerateRequest& request, std::int64_t max_positions)
    : kind(request.holes.empty() ? CanvasKind::kContinued : CanvasKind::kInfilled),
      options(request.options) {
  const auto prompt = static_cast<std::int64_t>(request.prompt_ids.size());
  if (prompt > std::numeric_limits<std::int32_t>::max()) {
    fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens, more than a canvas can hold",
         prompt);
  }
  prompt_length = length = static_cast<std::int32_t>(prompt);
  if (kind == CanvasKind::kContinued) {
    if (!options.gen_length) {
      options.gen_length = static_cast<std::int32_t>(
          std::clamp<std::int64_t>(max_positions - prompt, 0, kDefaultGenLength));
    }
    const std::int32_t gen_length = *options.gen_length;
    if (gen_length > 0 && gen_length <= std::numeric_limits<std::int32_t>::max() - length) {
      length += gen_length;
    }
    return;  // any other gen_length is refused with the options
  }
  std::int64_t before = -1;
  for (const std::int32_t hole : request.holes) {
    if (hole <= before || hole >= prompt) {
      fail(ErrorCode::kInvalidArgument,
           "holes: expected ascending positions of the {} tokens, found {} after {}", prompt, hole,
           before);
    }
    before = hole;
  }
  prompt_length = request.holes.front();
  options.gen_length = length - prompt_length;
}

Canvas RequestCanvas::make(const GenerateRequest& request, std::int32_t mask_token) const {
  if (request.holes.empty()) {
    return {request.prompt_ids, options.gen_length.value_or(0), mask_token};
  }
  return Canvas::with_holes(request.prompt_ids, request.holes, mask_token);
}

}  // namespace fdllm
