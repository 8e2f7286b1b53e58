#include "base/check.h"
#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse detokenize(Context& context, const HttpRequest& request) {
  const DetokenizeRequest asked = parse_detokenize_request(request.body);
  for (const std::int32_t id : asked.tokens) {
    if (!context.engine.has_token(id)) {
      throw ApiError(
          400,
          fmt::format("'tokens': no token has the id {}: the tokenizer's go from 0 to {}", id,
                      context.engine.info().tokenizer_vocab - 1),
          "tokens");
    }
  }
  HttpResponse response;
  response.body = detokenized_json(text_of(context.engine, asked.tokens, SpecialTokens::kShow));
  return response;
}

}  // namespace fdllm::server
