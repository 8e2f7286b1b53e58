#pragma once
#include "server/context.h"
#include "server/http.h"

namespace fdllm::server {

// One file each. All throw ApiError and Error for requests that they refuse.
HttpResponse chat_completions(Context& context, const HttpRequest& request);
HttpResponse completions(Context& context, const HttpRequest& request);
HttpResponse infill(Context& context, const HttpRequest& request);
HttpResponse editor_infill(Context& context, const HttpRequest& request);
HttpResponse models(Context& context, const HttpRequest& request);
HttpResponse model(Context& context, const HttpRequest& request);
HttpResponse tokenize(Context& context, const HttpRequest& request);
HttpResponse detokenize(Context& context, const HttpRequest& request);
HttpResponse tokenizer_info(Context& context, const HttpRequest& request);
HttpResponse health(Context& context, const HttpRequest& request);
HttpResponse ready(Context& context, const HttpRequest& request);
HttpResponse metrics(Context& context, const HttpRequest& request);
HttpResponse openapi(Context& context, const HttpRequest& request);
HttpResponse page(Context& context, const HttpRequest& request);

}  // namespace fdllm::server
