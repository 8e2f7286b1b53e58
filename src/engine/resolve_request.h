#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "fastdllm/engine.h"

#include "decode/canvas.h"
#include "decode/settings.h"

namespace fdllm {

/// What requests are resolved against.
struct RequestModel {
  DecodeTraits traits;
  std::int64_t vocab = 0;
  std::int64_t max_positions = 0;
};

/// What a request decodes, a prompt and its continuation or a text with holes, and how.
struct ResolvedRequest::Data {
  std::shared_ptr<const RequestModel> model;
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::int32_t> holes;
  std::int32_t prompt_length = 0;  ///< positions before the first mask
  std::int32_t length = 0;         ///< of the whole canvas
  DecodeSettings settings;

  Canvas canvas() const;
  /// That a step runs: two with guidance.
  std::int64_t canvases() const { return settings.options.cfg_scale > 0 ? 2 : 1; }
};

/// Throws kInvalidArgument for what is wrong with a request's options, prompt or holes.
ResolvedRequest resolve_request(GenerateRequest request, std::shared_ptr<const RequestModel> model);

}  // namespace fdllm
