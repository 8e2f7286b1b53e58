#pragma once
#include <chrono>
#include <deque>
#include <string>
#include <string_view>

#include "server/http/socket.h"

namespace fdllm::server {

/// A whole response with nothing but a status, for when there is no memory for a better one.
std::string_view bare_response(int status);

/// Connections that were told that there is no place for them. They stay open for a moment, since
/// closing over a request that is still coming would take the answer from the client. Of one
/// thread.
class Goodbyes {
 public:
  /// Sends the response (as far as the system takes it at once) and keeps the socket for a while.
  void say(Socket socket, std::string_view response);
  /// Closes those that have waited long enough. Returns how long until the next is due, or 1 hour.
  std::chrono::milliseconds close_due();

 private:
  using Clock = std::chrono::steady_clock;
  struct Leaving {
    Socket socket;
    Clock::time_point due;
  };

  std::deque<Leaving> leaving_;
};

}  // namespace fdllm::server
