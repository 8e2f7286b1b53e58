#include "engine/resolve_request.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace fdllm {
namespace {

using Data = ResolvedRequest::Data;

void check_tokens(const std::vector<std::int32_t>& ids, std::int64_t vocab) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab) {
      fail(ErrorCode::kInvalidArgument, "prompt token {}: expected an id from 0 to {}, found {}", i,
           vocab - 1, ids[i]);
    }
  }
}

/// Throws unless the prompt and what is to follow it fit into the model's positions.
void check_length(const GenerateRequest& request, std::int64_t max_positions) {
  const auto prompt_length = static_cast<std::int64_t>(request.prompt_ids.size());
  const bool continues = request.holes.empty();
  const std::int64_t least = continues ? request.options.gen_length.value_or(1) : 0;
  if (prompt_length + least <= max_positions) return;
  if (continues && request.options.gen_length) {
    fail(ErrorCode::kInvalidArgument,
         "'gen_length': the prompt has {} tokens; with a gen_length of {} that is more than the {} "
         "positions that the model allows",
         prompt_length, least, max_positions);
  }
  fail(ErrorCode::kInvalidArgument,
       "the {} has {} tokens, {} the {} positions that the model allows; shorten it",
       continues ? "prompt" : "text with its holes", prompt_length,
       continues ? "which leaves no room for an answer in" : "more than", max_positions);
}

void check_holes(const GenerateRequest& request) {
  const auto length = static_cast<std::int64_t>(request.prompt_ids.size());
  std::int64_t before = -1;
  for (const std::int32_t hole : request.holes) {
    if (hole <= before || hole >= length) {
      fail(ErrorCode::kInvalidArgument,
           "holes: expected ascending positions of the {} tokens, found {} after {}", length, hole,
           before);
    }
    before = hole;
  }
}

}  // namespace

ResolvedRequest resolve_request(GenerateRequest request,
                                std::shared_ptr<const RequestModel> model) {
  check_tokens(request.prompt_ids, model->vocab);
  check_length(request, model->max_positions);
  check_holes(request);
  auto data = std::make_shared<Data>();
  // No model has more positions than 32 bits hold.
  data->prompt_length = data->length = static_cast<std::int32_t>(request.prompt_ids.size());
  GenerateOptions& options = request.options;
  const bool continues = request.holes.empty();
  if (!continues) {
    data->prompt_length = request.holes.front();
    options.gen_length = data->length - data->prompt_length;
  } else if (!options.gen_length) {
    options.gen_length = static_cast<std::int32_t>(
        std::min<std::int64_t>(model->max_positions - data->length, kDefaultGenLength));
  }
  data->settings = resolve_settings(options, model->traits, data->prompt_length,
                                    continues ? CanvasKind::kContinued : CanvasKind::kInfilled);
  if (continues) {
    data->length += data->settings.gen_length;
    // The last block is shorter where the model's positions end.
    data->settings.spare = static_cast<std::int32_t>(
        std::min<std::int64_t>(data->settings.spare, model->max_positions - data->length));
    data->length += data->settings.spare;
  }
  data->prompt_ids = std::move(request.prompt_ids);
  data->holes = std::move(request.holes);
  data->model = std::move(model);
  return ResolvedRequest(std::move(data));
}

Canvas ResolvedRequest::Data::canvas() const {
  const std::int32_t mask = model->traits.mask_token;
  if (holes.empty()) return {prompt_ids, settings.gen_length, mask, settings.spare};
  return Canvas::with_holes(prompt_ids, holes, mask);
}

const GenerateOptions& ResolvedRequest::options() const {
  return data_->settings.options;
}
std::span<const std::int32_t> ResolvedRequest::prompt_ids() const {
  return data_->prompt_ids;
}
std::span<const std::int32_t> ResolvedRequest::holes() const {
  return data_->holes;
}
std::int32_t ResolvedRequest::masks() const {
  return data_->holes.empty() ? data_->settings.gen_length
                              : static_cast<std::int32_t>(data_->holes.size());
}
bool ResolvedRequest::confidence_is_probability() const {
  return data_->settings.confidence_is_probability();
}
bool ResolvedRequest::depends_on_seed() const {
  return data_->settings.depends_on_seed();
}

}  // namespace fdllm
