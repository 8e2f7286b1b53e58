#include "server/planning.h"

#include <algorithm>

#include "base/check.h"

namespace fdllm::server {
namespace {

void check_prompt_length(const Context& context, std::size_t length) {
  const std::int64_t limit = context.options.max_prompt_tokens;
  if (limit > 0 && std::cmp_greater(length, limit)) {
    throw ApiError(400,
                   fmt::format("'prompt': {} tokens are more than the {} that this server takes",
                               length, limit),
                   "prompt", "context_length_exceeded");
  }
}

void check_canvas_length(const Context& context, const GenerateRequest& request) {
  const std::int64_t positions = context.engine.info().max_positions;
  const std::size_t prompt = request.prompt_ids.size();
  const std::int64_t least = request.options.gen_length.value_or(1);
  if (std::cmp_less_equal(prompt, positions) &&
      least <= positions - static_cast<std::int64_t>(prompt)) {
    return;
  }
  if (!request.options.gen_length) {
    throw ApiError(400,
                   fmt::format("'prompt': its {} tokens leave no room for an answer in the {} "
                               "positions of the model",
                               prompt, positions),
                   "prompt", "context_length_exceeded");
  }
  throw ApiError(400,
                 fmt::format("'max_tokens': the prompt has {} tokens; with a gen_length of {} that "
                             "is more than the {} positions of the model",
                             prompt, least, positions),
                 "max_tokens", "context_length_exceeded");
}

/// A confidence whose logarithm means something: the probability of the committed token.
void check_confidence_is_probability(const GenerateOptions& resolved) {
  if (!confidence_is_probability(resolved)) {
    throw ApiError(
        400,
        "'logprobs': with this unmasking rule or 'remasking' the confidence is no probability "
        "whose logarithm could be given",
        "logprobs", "unsupported_parameter");
  }
}

}  // namespace

PlannedAnswer plan_answer(const Context& context, const GenerationFields& fields,
                          std::vector<std::int32_t> prompt_ids, std::int32_t i) {
  check_prompt_length(context, prompt_ids.size());
  PlannedAnswer answer;
  answer.request.prompt_ids = std::move(prompt_ids);
  GenerateOptions& options = answer.request.options;
  options = fields.options;
  options.seed += static_cast<std::uint64_t>(i);
  if (!fields.has_gen_length) options.gen_length = fields.max_tokens;
  check_canvas_length(context, answer.request);
  answer.resolved = context.engine.resolve(answer.request);
  const std::int32_t gen_length = answer.resolved.gen_length.value_or(0);
  answer.max_tokens = std::min(fields.max_tokens.value_or(gen_length), gen_length);
  if (fields.logprobs) check_confidence_is_probability(answer.resolved);
  return answer;
}

PlannedAnswer plan_infill(const Context& context, const InfillRequest& fields,
                          const GenerateRequest& canvas, std::int32_t i) {
  check_prompt_length(context, canvas.prompt_ids.size());
  PlannedAnswer answer;
  answer.request = canvas;
  answer.request.options = fields.options;
  answer.request.options.seed += static_cast<std::uint64_t>(i);
  answer.resolved = context.engine.resolve(answer.request);
  answer.max_tokens = answer.resolved.gen_length.value_or(0);
  answer.parts = fields.parts;
  return answer;
}

void check_model(const Context& context, const GenerationFields& fields) {
  if (!fields.model || *fields.model == context.model) return;
  throw ApiError(
      404,
      fmt::format("'model': this server has no model of that name; it serves '{}'", context.model),
      "model", "model_not_found");
}

}  // namespace fdllm::server
