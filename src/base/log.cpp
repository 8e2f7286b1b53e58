#include "base/log.h"

#include <exception>
#include <mutex>

namespace fdllm {
namespace {

struct SinkHolder {
  std::mutex mutex;
  LogSink sink;
};

// A function-local static, so that a sink can be set from static initialisers of other files.
SinkHolder& holder() {
  static SinkHolder instance;
  return instance;
}

}  // namespace

void set_log_sink(LogSink sink) {
  const std::lock_guard lock(holder().mutex);
  holder().sink = std::move(sink);
}

void log_message(LogKind kind, std::string_view message) {
  const std::lock_guard lock(holder().mutex);
  try {
    if (holder().sink) holder().sink(kind, message);
  } catch (const std::exception&) {
    // Where a message gets lost, the work that it is about goes on.
  }
}

}  // namespace fdllm
