#include "server/router.h"

#include <new>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/quote.h"
#include "server/allowed_hosts.h"
#include "server/api_types.h"
#include "server/auth.h"
#include "server/http/protocol_words.h"
#include "server/paths.h"
#include "server/routes/routes.h"

namespace fdllm::server {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/v1/chat/completions", Access::kKey, chat_completions},
    {"POST", "/v1/completions", Access::kKey, completions},
    {"POST", "/v1/infill", Access::kKey, infill},
    {"POST", "/infill", Access::kKey, editor_infill},
    {"GET", "/v1/models", Access::kKey, models},
    {"GET", "/v1/models/*", Access::kKey, model},
    {"POST", "/tokenize", Access::kKey, tokenize},
    {"POST", "/detokenize", Access::kKey, detokenize},
    {"GET", "/tokenizer_info", Access::kKey, tokenizer_info},
    {"GET", "/health", Access::kOpen, health},
    {"GET", "/ready", Access::kOpen, ready},
    {"GET", "/metrics", Access::kKey, metrics},
    {"GET", "/openapi.json", Access::kOpen, openapi},
    {"GET", "/", Access::kOpen, page},
    {"GET", "/page/*", Access::kOpen, page},
};

std::string methods_of(std::string_view path) {
  std::string methods;
  for (const Route& route : kRoutes) {
    if (!is_at(route, path)) continue;
    methods += methods.empty() ? "" : ", ";
    methods += route.method == "GET" ? "GET, HEAD" : std::string(route.method);
  }
  return methods.empty() ? methods : methods + ", OPTIONS";
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status;
  response.body = error_json(error);
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (error.status == 429 || error.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

void check_content_type(const HttpRequest& request) {
  std::string_view type = request.header("Content-Type");
  type = trimmed(type.substr(0, type.find(';')));
  // A web page may send a form or plain text anywhere without asking, but not JSON.
  if (!equal_ignoring_case(type, "application/json")) {
    throw ApiError(415, "'Content-Type': expected application/json", "Content-Type");
  }
}

const Route& find_route(const HttpRequest& request, std::string_view method) {
  const Route* found = nullptr;
  for (const Route& route : kRoutes) {
    if (is_at(route, request.path) && route.method == method) found = &route;
  }
  if (found != nullptr) return *found;
  if (methods_of(request.path).empty()) {
    const std::string_view similar = similar_path(kRoutes, request.path);
    const std::string hint = similar.empty() ? "/openapi.json lists what there is"
                                             : fmt::format("did you mean {}?", similar);
    throw ApiError(404, fmt::format("There is nothing at this path; {}", hint), "", "unknown_url");
  }
  throw ApiError(405, fmt::format("This path takes {}.", methods_of(request.path)), "",
                 "method_not_allowed");
}

void check_host(const Context& context, const HttpRequest& request) {
  if (is_host_allowed(request, context.options)) return;
  throw ApiError(403,
                 fmt::format("This server is not to be asked under the name {}: pages of other "
                             "sites could use it so. Ask for localhost, or start the server with "
                             "--allow-host and that name, or with an API key.",
                             quote(request.host)),
                 "Host", "host_not_allowed");
}

HttpResponse handle(Context& context, const HttpRequest& request) {
  check_host(context, request);
  const std::string_view given = request.method;
  const std::string_view method = given == "HEAD" ? "GET" : given;
  const Route& route = find_route(request, method);
  if (route.access == Access::kKey && !may_ask(request, context.options.api_key)) {
    throw ApiError(401,
                   "This server wants its API key in the header Authorization: Bearer KEY; the one "
                   "given is missing or wrong.",
                   "", "invalid_api_key");
  }
  if (method == "POST") check_content_type(request);
  return route.handle(context, request);
}

HttpResponse safe_answer(Context& context, const HttpRequest& request) {
  try {
    return handle(context, request);
  } catch (const ApiError& error) {
    return error_response(error);
  } catch (const Error& error) {
    return error_response(to_api_error(error));
  } catch (const std::bad_alloc&) {
    return error_response({503, "The server is out of memory.", "", "out_of_memory"});
  } catch (const std::exception& error) {
    log_warning("{} {}: {}", request.method, request.path, error.what());
    return error_response({500, "A bug in the server; its log says more."});
  }
}

HttpResponse answer_there(Context& context, const HttpRequest& request) {
  HttpResponse response;
  const std::string methods = methods_of(request.path);
  if (request.method == "OPTIONS" && !methods.empty()) {
    response.status = 204;
  } else {
    response = safe_answer(context, request);
    if (response.status >= 400) context.metrics.refused(response.status);
  }
  if (!methods.empty() && (response.status == 204 || response.status == 405)) {
    response.headers.emplace_back("Allow", methods);
  }
  add_cors(request, context.options.cors_origin, methods, response);
  return response;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

HttpResponse answer(Context& context, const HttpRequest& request) {
  std::string path = served_path(kRoutes, request.path);
  if (path == request.path) return answer_there(context, request);
  HttpRequest moved = request;
  moved.path = std::move(path);
  return answer_there(context, moved);
}

std::string transport_error(int status) {
  const auto text = [status]() -> std::string {
    switch (status) {
      case 408:
        return "The request didn't arrive in time.";
      case 413:
        return "The body is larger than this server takes (--max-body-bytes).";
      case 414:
        return "The address is too long.";
      case 415:
        return "Bodies can't be compressed.";
      case 416:
        return "'Range': expected bytes=FIRST-LAST, though ranges are not served.";
      case 431:
        return "The headers are too long; all of them together may have 64 KB.";
      case 503:
        return "The server has no place for this connection; try again soon.";
      default:
        return "This is no HTTP/1.1 request that could be understood: expected METHOD /path "
               "HTTP/1.1, one Host, one length of the body, and lines that end with CR LF.";
    }
  };
  return error_json({status, text()});
}

}  // namespace fdllm::server
