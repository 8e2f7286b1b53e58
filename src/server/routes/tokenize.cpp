#include <algorithm>

#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/planning.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse tokenize(Context& context, const HttpRequest& request) {
  const TokenizeRequest asked = parse_tokenize_request(request.body);
  const Engine& engine = context.engine;
  const bool add = asked.add_special_tokens.value_or(asked.prompt.has_value());
  const std::vector<std::int32_t> ids = prompt_tokens(
      engine,
      asked.prompt ? *asked.prompt
                   : chat_text(context, asked.messages, asked.add_generation_prompt),
      add ? AroundText::kAsFilesAsk : AroundText::kNothing, asked.prompt ? "prompt" : "messages");
  std::vector<std::string> texts;
  if (asked.return_token_strs) {
    std::ranges::transform(ids, std::back_inserter(texts), [&engine](const std::int32_t& id) {
      return text_of(engine, std::span(&id, 1), SpecialTokens::kShow);
    });
  }
  HttpResponse response;
  response.body =
      tokens_json(ids, engine.info().max_positions, asked.return_token_strs ? &texts : nullptr);
  return response;
}

}  // namespace fdllm::server
