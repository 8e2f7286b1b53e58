#include "base/check.h"
#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/respond.h"
#include "server/routes/routes.h"

namespace fdllm::server {
namespace {

constexpr std::size_t kMaxAnswers = 128;

std::vector<std::int32_t> ids_of(const Engine& engine, const Prompt& prompt,
                                 bool add_special_tokens) {
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    return prompt_tokens(engine, *text,
                         add_special_tokens ? AroundText::kAsFilesAsk : AroundText::kNothing,
                         "prompt");
  }
  const auto& ids = std::get<std::vector<std::int32_t>>(prompt);
  for (const std::int32_t id : ids) {
    if (id >= engine.info().vocab) {
      throw ApiError(400,
                     fmt::format("'prompt': expected token ids from 0 to {}, found {}",
                                 engine.info().vocab - 1, id),
                     "prompt");
    }
  }
  return ids;
}

std::string text_of_prompt(const Engine& engine, const Prompt& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  return text_of(engine, std::get<std::vector<std::int32_t>>(prompt), SpecialTokens::kShow);
}

}  // namespace

HttpResponse completions(Context& context, const HttpRequest& request) {
  const CompletionRequest completion = parse_completion_request(request.body);
  check_model(context, completion);
  if (completion.prompts.size() * static_cast<std::size_t>(completion.n) > kMaxAnswers) {
    throw ApiError(400, fmt::format("'n': prompts times n may be at most {}", kMaxAnswers), "n");
  }
  const std::vector<std::int32_t> suffix =
      prompt_tokens(context.engine, completion.suffix, AroundText::kNothing, "suffix");
  AnswerJob job;
  job.shape = ChunkShape::kCompletion;
  job.fields = completion;
  for (const Prompt& prompt : completion.prompts) {
    const PromptTokens tokens = {"prompt",
                                 ids_of(context.engine, prompt, completion.add_special_tokens)};
    job.prompt_tokens += static_cast<std::int64_t>(tokens.ids.size() + suffix.size());
    for (std::int32_t i = 0; i < completion.n; ++i) {
      PlannedAnswer answer = completion.suffix.empty()
                                 ? plan_answer(context, completion, tokens, i)
                                 : plan_middle(context, completion, tokens, suffix, i);
      if (completion.echo) answer.before = text_of_prompt(context.engine, prompt);
      answer.choice = static_cast<std::int32_t>(job.answers.size());
      job.answers.push_back(std::move(answer));
    }
  }
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
