#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse tokenizer_info(Context& context, const HttpRequest&) {
  const ModelInfo& info = context.engine.info();
  const auto text = [&context](const std::int32_t& id) {
    return text_of(context.engine, std::span(&id, 1), SpecialTokens::kShow);
  };
  TokenizerDescription description;
  if (!info.end_tokens.empty()) description.eos_token = text(info.end_tokens.front());
  if (info.mask_token >= 0) description.mask_token = text(info.mask_token);
  description.pad_token = description.eos_token;
  description.chat_template = info.chat_template;
  description.vocabulary = info.tokenizer_vocab;
  description.max_positions = info.max_positions;
  HttpResponse response;
  response.body = tokenizer_json(description);
  return response;
}

}  // namespace fdllm::server
