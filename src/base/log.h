#pragma once
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace fdllm {

enum class LogKind : std::uint8_t {
  kWarning,  ///< a sentence
  kRequest,  ///< of a server's access log: an object of JSON for each request
};

/// Receives every message of the library, from any thread, one call at a time. It must not log.
using LogSink = std::function<void(LogKind, std::string_view message)>;

/// Replaces the process-wide sink. The library never prints: without a sink (the default, or an
/// empty function) messages are discarded.
void set_log_sink(LogSink sink);

void log_message(LogKind kind, std::string_view message);

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogKind::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fdllm
