#include "server/http/goodbye.h"

#include <algorithm>
#include <utility>

#include <sys/socket.h>

namespace fdllm::server {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(500);
constexpr std::size_t kMostLeaving = 32;

}  // namespace

std::string_view bare_response(int status) {
  if (status == 500) {
    return "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  }
  return "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
         "Content-Length: 0\r\n\r\n";
}

void Goodbyes::say(Socket socket, std::string_view response) {
  const int descriptor = socket.descriptor();
  if (send(descriptor, response.data(), response.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
  shutdown(descriptor, SHUT_WR);
  if (leaving_.size() == kMostLeaving) leaving_.pop_front();
  leaving_.push_back({std::move(socket), Clock::now() + kPatience});
}

std::chrono::milliseconds Goodbyes::close_due() {
  const Clock::time_point now = Clock::now();
  while (!leaving_.empty() && leaving_.front().due <= now) leaving_.pop_front();
  if (leaving_.empty()) return std::chrono::hours(1);
  return std::chrono::duration_cast<std::chrono::milliseconds>(leaving_.front().due - now) +
         std::chrono::milliseconds(1);
}

}  // namespace fdllm::server
