#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/quote.h"
#include "cli/command.h"
#include "cli/generate/template_warning.h"
#include "cli/log_output.h"
#include "cli/options/api_key.h"
#include "cli/options/engine_flags.h"
#include "cli/serve/serve_lifetime.h"
#include "cli/terminal/load_view.h"
#include "server/allowed_hosts.h"
#include "server/server.h"

namespace fdllm::cli {
namespace {

struct ServeFlags {
  EngineFlags engine;
  ApiKeySources key;
  server::ServerOptions options;
};

constexpr std::size_t kSpareConnections = 64;  // for probes, the page and slow readers

std::string api_key_of(const ServeFlags& flags) {
  ApiKeySources sources = flags.key;
  if (const char* value = std::getenv("FDLLM_API_KEY")) sources.environment = value;
  return read_api_key(sources);
}

/// None where SIGTERM came meanwhile: nothing is accepted yet, so there is nothing to drain.
std::optional<Engine> load_until_terminated(const ServeFlags& flags) {
  keep_little_free_memory();
  catch_sigterm_while_loading();
  try {
    return load_engine(flags.engine, [](const LoadProgress&) { return !is_told_to_end(); });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled && is_told_to_end()) return std::nullopt;
    throw;
  }
}

std::string address(const std::string& host, int port) {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("http://[{}]:{}", host, port)
                 : fmt::format("http://{}:{}", host, port);
}

void check_addresses(const server::ServerOptions& options) {
  // The system would take it for every address of the machine.
  if (options.host.empty()) {
    fail(
        ErrorCode::kInvalidArgument,
        "--host: expected an address or a name; 0.0.0.0 (and ::) are all addresses of the machine");
  }
  for (const std::string& host : options.allowed_hosts) {
    if (server::is_host_pattern(host)) continue;
    fail(ErrorCode::kInvalidArgument,
         "--allow-host: expected a name without port, such as example.com, .example.com for all "
         "below it, or * for any; found {}",
         quote(host));
  }
  const bool is_printable =
      std::ranges::all_of(options.cors_origin, [](char c) { return c > ' ' && c <= '~'; });
  if (!is_printable) {
    fail(ErrorCode::kInvalidArgument,
         "--cors-origin: expected an origin such as "
         "https://example.com, or *; found {}",
         quote(options.cors_origin));
  }
}

int run_serve(const ServeFlags& flags) {
  server::ServerOptions options = flags.options;
  options.api_key = api_key_of(flags);
  check_addresses(options);
  options.max_connections = static_cast<std::size_t>(flags.engine.options.max_live_requests) +
                            options.max_waiting + kSpareConnections;
  if (options.model_name.empty()) options.model_name = served_name(flags.engine.model);
  std::optional<Engine> loaded = load_until_terminated(flags);
  if (!loaded) return 0;
  Engine& engine = *loaded;
  engine.resolve({.prompt_ids = {}, .options = options.defaults});  // what is wrong with them now
  warn_without_template(engine, "chats are refused, /v1/completions takes prompts as they are");
  server::Server server(engine, options);
  catch_server_signals();
  const int port = server.start();
  write_log(fmt::format("fast-dllm: {} on {}", engine.info().path, engine.info().backend));
  if (const std::string& problem = engine.info().chat_template_problem; !problem.empty()) {
    write_log("fast-dllm: warning: chats are refused: " + problem);
  }
  write_log(fmt::format("fast-dllm: listening on {}", address(options.host, port)));
  return serve_until_ended(server);
}

/// Where it listens, and who may ask.
void add_access_options(CLI::App& app, ServeFlags& flags) {
  server::ServerOptions& options = flags.options;
  const char* group = "Server";
  app.add_option("--host", options.host, "address to listen on (default 127.0.0.1)")
      ->type_name("HOST")
      ->group(group);
  app.add_option("--port", options.port, "port (default 8080; 0: any free one)")
      ->check(CLI::Range(0, 65535).description(""))
      ->type_name("PORT")
      ->group(group);
  app.add_option("--api-key", flags.key.given,
                 "key that requests must carry (default $FDLLM_API_KEY, else none; the variable "
                 "keeps it out of the process list)")
      ->type_name("KEY")
      ->group(group);
  app.add_option("--api-key-file", flags.key.file, "file whose only line is the key")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--allow-host", options.allowed_hosts,
                 "name under which pages and programs may ask, may be given again; * for any "
                 "(default: on a loopback address without a key only localhost and its addresses, "
                 "else any)")
      ->type_name("NAME")
      ->take_all()
      ->group(group);
  app.add_option("--cors-origin", options.cors_origin,
                 "origin whose web pages may ask, * for all (default: none)")
      ->type_name("ORIGIN")
      ->group(group);
}

/// What requests decode by that don't say it themselves.
void add_defaults(CLI::App& app, GenerateOptions& defaults) {
  for (const char* name : {"preset", "gen-length"}) {
    const GenerateOption& option = *find_generate_option(name);
    app.add_option_function<std::string>(
           "--" + option.name, [&](const std::string& value) { option.set(defaults, value); },
           "for requests that don't say it: " + option.help)
        ->type_name(option.value_name)
        ->group("Server");
  }
}

}  // namespace

CommandBody add_serve(CLI::App& app) {
  const auto flags = std::make_shared<ServeFlags>();
  server::ServerOptions& options = flags->options;
  app.footer(
      "Decoding options are fields of the requests; GET /openapi.json lists them. The log on "
      "stderr has a JSON line for each request, without its text.");
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  const char* group = "Server";
  add_access_options(app, *flags);
  app.add_option("--model-name", options.model_name,
                 "name to serve the model under (default: its folder's or file's, or ORG/NAME)")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--max-waiting", options.max_waiting,
                 "requests that may wait, beyond them 429 (default 128)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100000}).description(""))
      ->type_name("N")
      ->group(group);
  app.add_option("--max-body-bytes", options.max_body_bytes,
                 "largest body of a request (default 8mb)")
      ->transform(CLI::AsSizeValue(false).description(""))
      ->type_name("SIZE")
      ->group(group);
  app.add_option("--max-prompt-tokens", options.max_prompt_tokens,
                 "longest prompt (default 0: what the model allows)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 24).description(""))
      ->type_name("N")
      ->group(group);
  app.add_option("--request-timeout", options.request_seconds,
                 "seconds after which a request ends with what it has (default 600; 0: never)")
      ->check(CLI::Range(0.0, 1e6).description(""))
      ->type_name("S")
      ->group(group);
  add_defaults(app, options.defaults);
  flags->engine.add_engine_options(app);
  return [flags] { return run_serve(*flags); };
}

}  // namespace fdllm::cli
