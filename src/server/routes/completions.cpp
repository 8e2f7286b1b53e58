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

}  // namespace

HttpResponse completions(Context& context, const HttpRequest& request) {
  const CompletionRequest completion = parse_completion_request(request.body);
  check_model(context, completion);
  if (completion.prompts.size() * static_cast<std::size_t>(completion.n) > kMaxAnswers) {
    throw ApiError(400, fmt::format("'n': prompts times n may be at most {}", kMaxAnswers), "n");
  }
  AnswerJob job;
  job.shape = ChunkShape::kCompletion;
  job.fields = completion;
  for (const Prompt& prompt : completion.prompts) {
    const std::vector<std::int32_t> ids =
        ids_of(context.engine, prompt, completion.add_special_tokens);
    job.prompt_tokens += static_cast<std::int64_t>(ids.size());
    for (std::int32_t i = 0; i < completion.n; ++i) {
      PlannedAnswer answer = plan_answer(context, completion, ids, i);
      if (completion.echo) {
        const auto* text = std::get_if<std::string>(&prompt);
        answer.before =
            text != nullptr ? *text : text_of(context.engine, ids, SpecialTokens::kShow);
      }
      job.answers.push_back(std::move(answer));
    }
  }
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
