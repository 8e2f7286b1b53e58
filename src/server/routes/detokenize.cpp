#include "base/check.h"
#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse detokenize(Context& context, const HttpRequest& request) {
  const DetokenizeRequest asked = parse_detokenize_request(request.body);
  const std::int64_t vocabulary = context.engine.info().vocab;
  for (const std::int32_t id : asked.tokens) {
    if (id >= vocabulary) {
      throw ApiError(
          400, fmt::format("'tokens': expected ids from 0 to {}, found {}", vocabulary - 1, id),
          "tokens");
    }
    if (!context.engine.has_token(id)) {
      throw ApiError(
          400,
          fmt::format("'tokens': {} is a row of the model without a token of the tokenizer", id),
          "tokens");
    }
  }
  HttpResponse response;
  response.body = detokenized_json(text_of(context.engine, asked.tokens, SpecialTokens::kShow));
  return response;
}

}  // namespace fdllm::server
