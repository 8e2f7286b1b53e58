#include "server/api_types.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse ready(Context& context, const HttpRequest&) {
  if (context.draining) throw ApiError(503, "The server is shutting down.", "", "draining");
  if (context.service.state().device_failed) throw device_failed();
  HttpResponse response;
  response.body = status_json("ready");
  return response;
}

}  // namespace fdllm::server
