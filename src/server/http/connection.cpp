#include "server/http/connection.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace fdllm::server {
namespace {

constexpr auto kLingerTime = std::chrono::milliseconds(500);
constexpr std::size_t kLingerBytes = std::size_t{1} << 20;

/// Whether one of `events` (or an error) happens within that time.
bool wait_for(int socket, short events, std::chrono::milliseconds time) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + time;
  while (true) {
    pollfd entry = {socket, events, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    const int ready = poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

/// Drops what was sent; false: all was.
bool drop_sent(std::array<iovec, 4>& pieces, std::size_t& first, std::size_t count,
               std::size_t sent) {
  while (first < count && sent >= pieces[first].iov_len) sent -= pieces[first++].iov_len;
  if (first == count) return false;
  pieces[first].iov_base = static_cast<char*>(pieces[first].iov_base) + sent;
  pieces[first].iov_len -= sent;
  return true;
}

}  // namespace

Connection::Connection(Socket socket, int write_seconds)
    : socket_(std::move(socket)), write_seconds_(write_seconds), deadline_(Clock::now()) {
  const int on = 1;
  setsockopt(descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Connection::begin_request(int seconds) {
  deadline_ = Clock::now() + std::chrono::seconds(seconds);
  failure_ = Failure::kNone;
}

bool Connection::wait_readable(std::chrono::milliseconds time) const {
  return has_received() || wait_for(descriptor(), POLLIN, time);
}

std::string_view Connection::receive() {
  if (has_received()) return {buffer_.data() + begin_, end_ - begin_};
  if (failure_ != Failure::kNone) return {};
  ssize_t received = -1;
  while (true) {
    received = recv(descriptor(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (received >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) break;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0 || !wait_for(descriptor(), POLLIN, left)) {
      failure_ = Failure::kTimeout;
      return {};
    }
  }
  if (received <= 0) {
    failure_ = Failure::kClosed;
    return {};
  }
  begin_ = 0;
  end_ = static_cast<std::size_t>(received);
  return {buffer_.data(), end_};
}

bool Connection::write(std::initializer_list<std::string_view> pieces) {
  if (is_broken_) return false;
  std::array<iovec, 4> parts = {};
  std::size_t first = 0;
  std::size_t count = 0;
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) parts.at(count++) = {const_cast<char*>(piece.data()), piece.size()};
  }
  bool more = count > 0;
  while (more) {
    msghdr message = {};
    message.msg_iov = &parts.at(first);
    message.msg_iovlen = count - first;
    const ssize_t sent = sendmsg(descriptor(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      more = drop_sent(parts, first, count, static_cast<std::size_t>(sent));
      continue;
    }
    const bool is_full = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (!is_full || !wait_for(descriptor(), POLLOUT, std::chrono::seconds(write_seconds_))) {
      is_broken_ = true;
      return false;
    }
  }
  return true;
}

void Connection::write_at_once(std::string_view text) noexcept {
  const ssize_t sent = send(descriptor(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  is_broken_ = sent < static_cast<ssize_t>(text.size());
}

bool Connection::connected() const {
  if (is_broken_ || failure_ == Failure::kClosed) return false;
  pollfd entry = {descriptor(), POLLRDHUP, 0};
  return poll(&entry, 1, 0) <= 0 || (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

std::string Connection::remote_address() const {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getpeername(descriptor(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&address)->sin_addr, text, sizeof text);
  } else if (address.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr, text, sizeof text);
  }
  return text;
}

void Connection::finish() {
  shutdown(descriptor(), SHUT_WR);
  const auto deadline = Clock::now() + kLingerTime;
  std::size_t read = 0;
  while (read < kLingerBytes && Clock::now() < deadline) {
    if (!wait_for(descriptor(), POLLIN, kLingerTime)) break;
    const ssize_t received = recv(descriptor(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (received <= 0) break;
    read += static_cast<std::size_t>(received);
  }
}

}  // namespace fdllm::server
