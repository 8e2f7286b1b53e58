#include "server/sse.h"

namespace fdllm::server {

std::string sse_event(std::string_view data) {
  constexpr std::string_view kField = "data: ";
  std::string event(kField);
  event.reserve(data.size() + kField.size() + 2);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const bool is_pair = data[i] == '\r' && i + 1 < data.size() && data[i + 1] == '\n';
    if (is_pair) continue;
    if (data[i] == '\r' || data[i] == '\n') {
      event += '\n';
      event += kField;
    } else {
      event += data[i];
    }
  }
  event += "\n\n";
  return event;
}

}  // namespace fdllm::server
