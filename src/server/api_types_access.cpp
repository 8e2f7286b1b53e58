#include <chrono>
#include <ctime>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "server/access_log.h"

namespace fdllm::server {
namespace {

/// UTC with milliseconds: "2026-01-31T12:00:00.000Z".
std::string timestamp(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     milliseconds);
}

}  // namespace

std::string access_line(const HttpExchange& exchange) {
  constexpr std::size_t kLongestPath = 200;
  nlohmann::ordered_json json = {{"time", timestamp(std::chrono::system_clock::now())},
                                 {"request", exchange.id},
                                 {"remote", exchange.remote_address},
                                 {"method", exchange.method},
                                 {"path", exchange.path.substr(0, kLongestPath)},
                                 {"status", exchange.status},
                                 {"request_bytes", exchange.request_bytes},
                                 {"response_bytes", exchange.response_bytes},
                                 {"milliseconds", exchange.seconds * 1000},
                                 {"complete", exchange.complete}};
  if (exchange.cost) {
    json["prompt_tokens"] = exchange.cost->prompt_tokens;
    json["completion_tokens"] = exchange.cost->completion_tokens;
    json["forwards"] = exchange.cost->forwards;
  }
  return json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace fdllm::server
