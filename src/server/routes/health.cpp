#include "server/api_types.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse health(Context& context, const HttpRequest&) {
  if (context.service.state().device_failed) throw device_failed();
  HttpResponse response;
  response.body = status_json("ok");
  return response;
}

}  // namespace fdllm::server
