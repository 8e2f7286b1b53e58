#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "server/http/socket.h"

namespace fdllm::server {

/// The address that a server listens on. A failed accept is survived: most are about one
/// connection, or pass when others have closed theirs.
class Listener {
 public:
  /// As accept() of the system: the new descriptor, or -1 with errno.
  using Accept = std::function<int(int listening)>;
  struct Handlers {
    std::function<void(Socket)> take;   ///< a new connection; may throw
    std::function<void()> make_room;    ///< descriptors or memory ran short; may throw
    std::function<int()> milliseconds;  ///< does what is due; returns when to call it again
  };

  /// Binds and listens. Throws kUnavailable where the address cannot be had.
  Listener(const std::string& host, int port, Accept accept = {});
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }
  /// Whether only programs of this machine reach the address.
  bool is_loopback() const { return is_loopback_; }
  /// Accepts until stop(), or until it cannot go on; then failure() says why. Frees the address.
  void run(const Handlers& handlers);
  /// Ends run(). Any thread.
  void stop();
  /// Empty as long as connections are accepted.
  std::string failure() const;

 private:
  void accept_all(const Handlers& handlers);
  /// The system's error, or 0.
  int accept_one(const Handlers& handlers);
  /// Waits for a connection or stop(); at most that long where not negative.
  void wait(int milliseconds, bool for_connections);
  static void warn(const std::string& why);

  Accept accept_;
  Socket socket_, wake_;
  int port_ = 0;
  bool is_loopback_ = false;
  std::atomic<bool> stops_{false};
  mutable std::mutex mutex_;
  std::string failure_;
};

}  // namespace fdllm::server
