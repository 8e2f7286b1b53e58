#include "server/api_types.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse openapi(Context& context, const HttpRequest&) {
  HttpResponse response;
  response.body = openapi_json(context.model, context.engine.info());
  return response;
}

}  // namespace fdllm::server
