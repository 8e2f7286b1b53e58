#include "server/metrics.h"

#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse metrics(Context& context, const HttpRequest&) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = context.metrics.text(context.service.state());
  return response;
}

}  // namespace fdllm::server
