#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/engine_flags.h"
#include "cli/load_view.h"
#include "server/server.h"

namespace fdllm::cli {
namespace {

struct ServeFlags {
  EngineFlags engine;
  server::ServerOptions options;
};

constexpr std::size_t kSpareConnections = 64;  // for probes, the page and slow readers
constexpr auto kSignalPoll = std::chrono::milliseconds(50);

std::atomic<int> g_signals{0};
static_assert(std::atomic<int>::is_always_lock_free);

/// The first SIGTERM or SIGINT lets accepted requests finish, the second ends them.
void count_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { ++g_signals; };
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

void wait_for_signals(int count) {
  while (g_signals < count) std::this_thread::sleep_for(kSignalPoll);
}

/// Drains while it watches for the second signal.
void drain(server::Server& server) {
  std::atomic<bool> drained{false};
  std::thread drainer([&] {
    server.drain();
    drained = true;
  });
  while (!drained && g_signals < 2) std::this_thread::sleep_for(kSignalPoll);
  if (!drained) {
    fmt::print(stderr, "fast-dllm: ending what is being answered\n");
    server.abort();
  }
  drainer.join();
}

/// None where SIGTERM came meanwhile: nothing is accepted yet, so there is nothing to drain.
std::optional<Engine> load_until_terminated(const ServeFlags& flags) {
  struct sigaction action = {};
  action.sa_handler = [](int) { ++g_signals; };
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // a second one ends the program
  sigaction(SIGTERM, &action, nullptr);
  try {
    return load_engine(flags.engine, [](const LoadProgress&) { return g_signals == 0; });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled && g_signals > 0) return std::nullopt;
    throw;
  }
}

std::string address(const std::string& host, int port) {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("http://[{}]:{}", host, port)
                 : fmt::format("http://{}:{}", host, port);
}

int run_serve(const ServeFlags& flags) {
  server::ServerOptions options = flags.options;
  options.max_connections = static_cast<std::size_t>(flags.engine.options.max_live_requests) +
                            options.max_waiting + kSpareConnections;
  std::optional<Engine> loaded = load_until_terminated(flags);
  if (!loaded) return 0;
  Engine& engine = *loaded;
  const auto log = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  server::Server server(engine, options, log);
  count_signals();
  const int port = server.start();
  fmt::print(stderr, "fast-dllm: {} on {}\n", engine.info().path, engine.info().backend);
  if (const std::string& problem = engine.info().chat_template_problem; !problem.empty()) {
    fmt::print(stderr, "fast-dllm: warning: chats are refused: {}\n", problem);
  }
  fmt::print(stderr, "fast-dllm: listening on {}\n", address(options.host, port));
  wait_for_signals(1);
  fmt::print(stderr, "fast-dllm: draining; a second signal ends what is being answered\n");
  drain(server);
  return 0;
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
  app.add_option("--host", options.host, "address to listen on (default 127.0.0.1)")
      ->type_name("HOST")
      ->group(group);
  app.add_option("--port", options.port, "port (default 8080; 0: any free one)")
      ->check(CLI::Range(0, 65535).description(""))
      ->type_name("PORT")
      ->group(group);
  app.add_option("--api-key", options.api_key,
                 "key that requests must carry (default $FDLLM_API_KEY, else none; the variable "
                 "keeps it out of the process list)")
      ->envname("FDLLM_API_KEY")
      ->type_name("KEY")
      ->group(group);
  app.add_option("--cors-origin", options.cors_origin,
                 "origin whose web pages may ask, * for all (default: none)")
      ->type_name("ORIGIN")
      ->group(group);
  app.add_option("--model-name", options.model_name,
                 "name to serve the model under (default: its folder's or file's)")
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
  flags->engine.add_engine_options(app);
  return [flags] { return run_serve(*flags); };
}

}  // namespace fdllm::cli
