#include "base/check.h"
#include "server/api_types.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse models(Context& context, const HttpRequest&) {
  HttpResponse response;
  response.body = models_json(context.model, context.created, context.engine.info());
  return response;
}

HttpResponse model(Context& context, const HttpRequest& request) {
  constexpr std::string_view kPrefix = "/v1/models/";
  if (request.path.substr(kPrefix.size()) != context.model) {
    throw ApiError(
        404, fmt::format("This server has no model of that name; it serves '{}'.", context.model),
        "model", "model_not_found");
  }
  HttpResponse response;
  response.body = model_json(context.model, context.created, context.engine.info());
  return response;
}

}  // namespace fdllm::server
