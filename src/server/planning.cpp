#include "server/planning.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace fdllm::server {
namespace {

// Two default blocks: tells a model that has blocks from one whose block is the whole canvas.
constexpr std::int32_t kTrialLength = 64;

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
  if (std::cmp_less_equal(prompt, positions) &&
      request.options.gen_length <= positions - static_cast<std::int64_t>(prompt)) {
    return;
  }
  throw ApiError(400,
                 fmt::format("'max_tokens': the prompt has {} tokens; with a gen_length of {} that "
                             "is more than the {} positions of the model",
                             prompt, request.options.gen_length, positions),
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

std::int32_t gen_length_for(const Engine& engine, const GenerateOptions& options,
                            std::int32_t max_tokens) {
  std::int64_t block = options.block_length.value_or(0);
  if (!options.block_length) {
    GenerateRequest trial;
    trial.options.gen_length = kTrialLength;
    trial.options.cache = options.cache;
    trial.options.alg = options.alg;
    block = engine.resolve(trial).block_length.value_or(kTrialLength);
    if (block == kTrialLength) return max_tokens;
  }
  if (block <= 0) return max_tokens;  // what is wrong with it is said by validation
  const std::int64_t length = (max_tokens + block - 1) / block * block;
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(length, std::numeric_limits<std::int32_t>::max()));
}

PlannedAnswer plan_answer(const Context& context, const GenerationFields& fields,
                          std::vector<std::int32_t> prompt_ids, std::int32_t i) {
  check_prompt_length(context, prompt_ids.size());
  PlannedAnswer answer;
  answer.request.prompt_ids = std::move(prompt_ids);
  GenerateOptions& options = answer.request.options;
  options = fields.options;
  options.seed += static_cast<std::uint64_t>(i);
  if (fields.max_tokens && !fields.has_gen_length) {
    options.gen_length = gen_length_for(context.engine, options, *fields.max_tokens);
  }
  check_canvas_length(context, answer.request);
  answer.resolved = context.engine.resolve(answer.request);
  answer.max_tokens = std::min(fields.max_tokens.value_or(options.gen_length), options.gen_length);
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
  answer.max_tokens = answer.resolved.gen_length;
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
