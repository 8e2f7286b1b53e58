#include "server/planning.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "server/engine_text.h"

namespace fdllm::server {
namespace {

// OpenAI's default for completions. All of a hole is filled, so that more would be too much.
constexpr std::int32_t kDefaultMiddle = 16;

[[noreturn]] void refuse_length(std::string_view field, const std::string& reason) {
  throw ApiError(400, fmt::format("'{}': {}", field, reason), std::string(field),
                 "context_length_exceeded");
}

/// Throws unless a prompt of that length, and at least one more token, are taken.
void check_prompt_length(const Context& context, const PromptTokens& prompt, std::size_t more) {
  const std::size_t length = prompt.ids.size() + more;
  const std::int64_t limit = context.options.max_prompt_tokens;
  if (limit > 0 && std::cmp_greater(length, limit)) {
    refuse_length(prompt.field, fmt::format("{} tokens are more than the {} that this server takes",
                                            length, limit));
  }
  const std::int64_t positions = context.engine.info().max_positions;
  if (std::cmp_greater_equal(length, positions)) {
    refuse_length(prompt.field,
                  fmt::format("its {} tokens leave no room for an answer in the {} positions of "
                              "the model",
                              length, positions));
  }
}

/// Throws unless `asked` tokens fit behind or into a text of `given` ones.
void check_fits(const Context& context, std::string_view field, std::int64_t asked,
                std::size_t given) {
  const std::int64_t positions = context.engine.info().max_positions;
  const std::int64_t left = positions - static_cast<std::int64_t>(given);
  if (asked <= left) return;
  refuse_length(field, fmt::format("{} tokens and the {} of the prompt are more than the {} "
                                   "positions of the model; at most {} are left",
                                   asked, given, positions, left));
}

/// What a client asks for; with the i-th seed, and the server's preset where it names none.
GenerateOptions options_of(const Context& context, const GenerationFields& fields, std::int32_t i) {
  GenerateOptions options = fields.options;
  options.seed += static_cast<std::uint64_t>(i);
  if (!options.preset) options.preset = context.options.defaults.preset;
  return options;
}

/// A confidence whose logarithm means something: the probability of the committed token.
void check_confidence_is_probability(const ResolvedRequest& request, std::string_view field) {
  if (!request.confidence_is_probability()) {
    refuse_parameter(field,
                     "with this unmasking rule or 'remasking' the confidence is no probability "
                     "whose logarithm could be given");
  }
}

void check_stop_token_ids(const Context& context, const GenerationFields& fields) {
  const std::vector<std::int32_t>& ends = context.engine.info().end_tokens;
  std::string list;
  for (const std::int32_t id : ends) list += (list.empty() ? "" : ", ") + std::to_string(id);
  for (const std::int32_t id : fields.stop_token_ids) {
    if (std::ranges::find(ends, id) != ends.end()) continue;
    refuse_parameter("stop_token_ids",
                     fmt::format("only the model's end tokens ({}) can be had, found {}; a text "
                                 "goes into 'stop'",
                                 list, id));
  }
}

void check_template_variables(const Context& context, const GenerationFields& fields) {
  for (const std::string& name : fields.template_variables) {
    if (name.empty() || context.engine.info().chat_template.find(name) == std::string::npos) {
      continue;
    }
    refuse_parameter(
        "chat_template_kwargs",
        fmt::format("the model's chat template uses '{}', which can't be given here", name));
  }
}

}  // namespace

std::string chat_text(const Context& context, const std::vector<ChatMessage>& messages,
                      bool add_generation_prompt) {
  const Engine& engine = context.engine;
  if (!engine.has_chat_template()) {
    refuse_parameter("messages", "this model has no chat template; use /v1/completions");
  }
  if (const std::string& problem = engine.info().chat_template_problem; !problem.empty()) {
    refuse_parameter("messages",
                     "there are no chats with this model; use /v1/completions, or the server's "
                     "operator can choose another template: " +
                         problem);
  }
  return engine.apply_chat_template(messages, add_generation_prompt);
}

PromptTokens chat_prompt(const Context& context, const std::vector<ChatMessage>& messages) {
  return {"messages", prompt_tokens(context.engine, chat_text(context, messages, true),
                                    AroundText::kNothing, "messages")};
}

PlannedAnswer plan_answer(const Context& context, const GenerationFields& fields,
                          const PromptTokens& prompt, std::int32_t i) {
  check_prompt_length(context, prompt, 0);
  GenerateRequest request{.prompt_ids = prompt.ids, .options = options_of(context, fields, i)};
  GenerateOptions& options = request.options;
  if (options.gen_length) {
    check_fits(context, "gen_length", *options.gen_length, prompt.ids.size());
  } else if (fields.max_tokens) {
    check_fits(context, fields.limit_name, *fields.max_tokens, prompt.ids.size());
    options.gen_length = fields.max_tokens;
  } else if (context.options.defaults.gen_length) {
    const std::int64_t left = context.engine.info().max_positions - std::ssize(prompt.ids);
    options.gen_length = static_cast<std::int32_t>(
        std::min<std::int64_t>(left, *context.options.defaults.gen_length));
  }
  PlannedAnswer answer{.request = context.engine.resolve(std::move(request)),
                       .choice = i,
                       .begin = static_cast<std::int32_t>(prompt.ids.size())};
  const std::int32_t gen_length = answer.request.masks();
  answer.max_tokens = std::min(fields.max_tokens.value_or(gen_length), gen_length);
  answer.stop = answer.request.options().stop;
  if (fields.logprobs) check_confidence_is_probability(answer.request, "logprobs");
  return answer;
}

std::int32_t middle_length(const GenerationFields& fields) {
  return fields.options.gen_length.value_or(fields.max_tokens.value_or(kDefaultMiddle));
}

PlannedAnswer plan_middle(const Context& context, const GenerationFields& fields,
                          const PromptTokens& prompt, std::span<const std::int32_t> suffix,
                          std::int32_t i) {
  check_prompt_length(context, prompt, suffix.size());
  if (middle_length(fields) < 1) {
    throw ApiError(400, "'gen_length': expected a positive number", "gen_length");
  }
  const std::size_t given = prompt.ids.size() + suffix.size();
  std::int32_t length = middle_length(fields);
  const bool has_length = fields.options.gen_length.has_value();
  if (has_length || fields.max_tokens) {
    check_fits(context, has_length ? "gen_length" : fields.limit_name, length, given);
  } else {
    const std::int64_t left =
        context.engine.info().max_positions - static_cast<std::int64_t>(given);
    length = static_cast<std::int32_t>(std::min<std::int64_t>(length, left));
  }
  const auto begin = static_cast<std::int32_t>(prompt.ids.size());
  GenerateRequest request{.prompt_ids = prompt.ids, .options = options_of(context, fields, i)};
  // The engine knows no end of a hole: the answer is cut when it is there.
  std::vector<std::string> stop = std::exchange(request.options.stop, {});
  request.prompt_ids.resize(prompt.ids.size() + static_cast<std::size_t>(std::max(length, 0)),
                            context.engine.info().mask_token);
  for (std::int32_t at = 0; at < length; ++at) request.holes.push_back(begin + at);
  request.prompt_ids.insert(request.prompt_ids.end(), suffix.begin(), suffix.end());
  PlannedAnswer answer{.request = context.engine.resolve(std::move(request)),
                       .choice = i,
                       .begin = begin,
                       .max_tokens = std::min(fields.max_tokens.value_or(length), length),
                       .stop = std::move(stop)};
  if (fields.logprobs) check_confidence_is_probability(answer.request, "logprobs");
  return answer;
}

std::vector<PlannedAnswer> plan_infill(const Context& context, const InfillRequest& fields,
                                       std::shared_ptr<const InfillText> text, std::int32_t i) {
  std::vector<InfillCanvas> canvases;
  try {
    canvases = text->canvases(options_of(context, fields, i));
  } catch (const Error& error) {
    ApiError refusal = to_api_error(error);
    if (refusal.param == fields.field) refusal.code = "context_length_exceeded";
    throw refusal;
  }
  try {
    text->require_comparable(canvases);
  } catch (const Error& error) {
    throw ApiError(400, error.what(), fields.field, "unsupported_parameter");
  }
  std::vector<PlannedAnswer> answers;
  for (InfillCanvas& canvas : canvases) {
    const auto length = static_cast<std::int32_t>(canvas.request.prompt_ids().size());
    const std::int64_t limit = context.options.max_prompt_tokens;
    if (limit > 0 && length > limit) {
      refuse_length(fields.field, fmt::format("{} tokens are more than the {} that this server "
                                              "takes",
                                              length, limit));
    }
    answers.push_back({.request = std::move(canvas.request),
                       .choice = i,
                       .max_tokens = length,
                       .text = text,
                       .lengths = std::move(canvas.lengths)});
  }
  return answers;
}

void check_model(const Context& context, const GenerationFields& fields) {
  check_stop_token_ids(context, fields);
  check_template_variables(context, fields);
  if (!fields.model || *fields.model == context.model) return;
  throw ApiError(
      404,
      fmt::format("'model': this server has no model of that name; it serves '{}'", context.model),
      "model", "model_not_found");
}

}  // namespace fdllm::server
