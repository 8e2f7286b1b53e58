#include "server/api_types.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse health(Context&, const HttpRequest&) {
  HttpResponse response;
  response.body = status_json("ok");
  return response;
}

}  // namespace fdllm::server
