#include <utility>

#include "server/api_types.h"
#include "server/respond.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse chat_completions(Context& context, const HttpRequest& request) {
  const ChatRequest chat = parse_chat_request(request.body);
  check_model(context, chat);
  const PromptTokens prompt = chat_prompt(context, chat.messages);
  AnswerJob job;
  job.shape = ChunkShape::kChat;
  job.fields = chat;
  job.prompt_tokens = static_cast<std::int64_t>(prompt.ids.size());
  for (std::int32_t i = 0; i < chat.n; ++i) {
    job.answers.push_back(plan_answer(context, chat, prompt, i));
  }
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
