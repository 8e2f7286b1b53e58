#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/respond.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse chat_completions(Context& context, const HttpRequest& request) {
  const ChatRequest chat = parse_chat_request(request.body);
  check_model(context, chat);
  if (!context.engine.has_chat_template()) {
    throw ApiError(400, "'messages': this model has no chat template; use /v1/completions",
                   "messages", "unsupported_parameter");
  }
  if (const std::string& problem = context.engine.info().chat_template_problem; !problem.empty()) {
    throw ApiError(400,
                   "'messages': this model's chat template can't be used, so use /v1/completions; "
                   "the server's operator can choose another: " +
                       problem,
                   "messages", "unsupported_parameter");
  }
  const std::vector<std::int32_t> prompt =
      prompt_tokens(context.engine, context.engine.apply_chat_template(chat.messages),
                    AroundText::kNothing, "messages");
  AnswerJob job;
  job.shape = ChunkShape::kChat;
  job.fields = chat;
  job.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  for (std::int32_t i = 0; i < chat.n; ++i) {
    job.answers.push_back(plan_answer(context, chat, prompt, i));
  }
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
