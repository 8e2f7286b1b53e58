#include "server/api_error.h"
#include "server/page/page_files.h"
#include "server/routes/routes.h"

namespace fdllm::server {

HttpResponse page(Context&, const HttpRequest& request) {
  for (const PageFile& file : page_files()) {
    if (file.path != request.path) continue;
    HttpResponse response;
    response.content_type = file.content_type;
    response.body = file.bytes;
    response.headers = {{"Content-Security-Policy", std::string(kPageSecurityPolicy)},
                        {"X-Content-Type-Options", "nosniff"},
                        {"Referrer-Policy", "no-referrer"},
                        {"Cache-Control", "no-cache"}};
    return response;
  }
  throw ApiError(404, "The page has no such file.", "", "unknown_url");
}

}  // namespace fdllm::server
