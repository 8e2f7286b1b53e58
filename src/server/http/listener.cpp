#include "server/http/listener.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/log.h"

namespace fdllm::server {
namespace {

constexpr int kBacklog = 512;                            // bursts wait here
constexpr int kShortestPause = 10, kLongestPause = 500;  // ms
constexpr int kManyFailures = 16;                        // in a row: from then on with pauses
constexpr int kMostUnknownErrors = 60;                   // in a row: half a minute
constexpr auto kBetweenWarnings = std::chrono::seconds(10);

int plain_accept(int listening) {
  return accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
}

std::string hint(int error) {
  if (error == EADDRINUSE) {
    return "; another program listens there: end it, or choose another --port (0: any free one)";
  }
  if (error == EACCES) return "; ports below 1024 want a privilege";
  if (error == EADDRNOTAVAIL) return "; this machine has no such address";
  return "";
}

[[noreturn]] void fail_address(const std::string& host, int port, const std::string& why) {
  fail(ErrorCode::kUnavailable, "--host {} --port {}: cannot be listened on: {}", host, port, why);
}

/// A listening socket, or none with errno.
Socket bound(const addrinfo& address) {
  Socket socket(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                         address.ai_protocol));
  if (!socket.is_open()) return {};
  const int on = 1;
  const int off = 0;
  setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ai_family == AF_INET6) {
    setsockopt(socket.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (bind(socket.descriptor(), address.ai_addr, address.ai_addrlen) != 0) return {};
  return ::listen(socket.descriptor(), kBacklog) == 0 ? std::move(socket) : Socket();
}

Socket listening_socket(const std::string& host, int port) {
  addrinfo wanted = {};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (failed != 0) {
    fail_address(host, port, failed == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Socket socket = bound(*address);
    if (socket.is_open()) return socket;
    error = errno;
  }
  fail_address(host, port, std::strerror(error) + hint(error));
}

sockaddr_storage local_address(int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return address;
}

int port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

bool is_loopback_address(const sockaddr_storage& address) {
  constexpr std::uint32_t kLoopbackNet = 127;
  if (address.ss_family == AF_INET6) {
    const in6_addr& host = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&host) ||
           (IN6_IS_ADDR_V4MAPPED(&host) && host.s6_addr[12] == kLoopbackNet);
  }
  const in_addr& host = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  return (ntohl(host.s_addr) >> 24) == kLoopbackNet;
}

/// Errors of the connection that was to be accepted; accept() hands over those of the network too.
bool is_of_connection(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

bool is_of_socket(int error) {
  return error == EBADF || error == EINVAL || error == ENOTSOCK || error == EFAULT;
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool is_known(int error) {
  return is_of_connection(error) || is_shortage(error);
}

}  // namespace

Listener::Listener(const std::string& host, int port, Accept accept)
    : accept_(accept ? std::move(accept) : plain_accept),
      socket_(listening_socket(host, port)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_.is_open()) fail_address(host, port, std::strerror(errno));
  const sockaddr_storage address = local_address(socket_.descriptor());
  port_ = port_of(address);
  is_loopback_ = is_loopback_address(address);
}

void Listener::wait(int milliseconds, bool for_connections) {
  pollfd entries[] = {{wake_.descriptor(), POLLIN, 0}, {socket_.descriptor(), POLLIN, 0}};
  if (poll(entries, for_connections ? 2 : 1, milliseconds) < 0 && errno != EINTR) {
    // The system has no memory to wait with: the pause is what matters.
    pollfd wake = {wake_.descriptor(), POLLIN, 0};
    poll(&wake, 1, kShortestPause);
  }
}

int Listener::accept_one(const Handlers& handlers) {
  const int descriptor = accept_(socket_.descriptor());
  const int error = descriptor >= 0 ? 0 : errno;
  try {
    if (descriptor >= 0) handlers.take(Socket(descriptor));
    if (is_shortage(error)) handlers.make_room();
  } catch (const std::exception&) {
    // There was no memory to take the connection with: it is closed.
  }
  return error;
}

void Listener::run(const Handlers& handlers) {
  accept_all(handlers);
  socket_ = Socket();
}

void Listener::accept_all(const Handlers& handlers) {
  int failures = 0;  // in a row
  auto next_warning = std::chrono::steady_clock::time_point::min();
  while (!stops_) {
    wait(handlers.milliseconds(), true);
    if (stops_) return;
    const int error = accept_one(handlers);
    if (error == 0 || error == EAGAIN) {
      failures = 0;
      continue;
    }
    ++failures;
    if (is_of_connection(error) && failures < kManyFailures) continue;
    if (is_of_socket(error) || (!is_known(error) && failures > kMostUnknownErrors)) {
      const std::lock_guard lock(mutex_);
      failure_ = std::strerror(error);
      return;
    }
    if (std::chrono::steady_clock::now() >= next_warning) {
      warn(std::strerror(error));
      next_warning = std::chrono::steady_clock::now() + kBetweenWarnings;
    }
    wait(std::min(kShortestPause * failures, kLongestPause), false);
  }
}

void Listener::warn(const std::string& why) {
  try {
    log_warning("a connection could not be accepted: {}; trying again", why);
  } catch (const std::exception&) {
    // A warning that there is no memory for is not worth a connection.
  }
}

void Listener::stop() {
  stops_ = true;
  eventfd_write(wake_.descriptor(), 1);
}

std::string Listener::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace fdllm::server
