#include "server/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

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

}  // namespace

Connection::Connection(int socket, int write_seconds)
    : socket_(socket), write_seconds_(write_seconds), deadline_(Clock::now()) {
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection::~Connection() {
  close(socket_);
}

void Connection::begin_request(int seconds, std::size_t bytes) {
  deadline_ = Clock::now() + std::chrono::seconds(seconds);
  bytes_left_ = bytes;
  failure_ = Failure::kNone;
}

bool Connection::wait_readable(std::chrono::milliseconds time) const {
  return begin_ < end_ || wait_for(socket_, POLLIN, time);
}

std::ptrdiff_t Connection::read(char* data, std::size_t size) {
  if (failure_ != Failure::kNone) return -1;
  if (bytes_left_ == 0) {
    failure_ = Failure::kTooLarge;
    return -1;
  }
  if (begin_ == end_) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0 || !wait_for(socket_, POLLIN, left)) {
      failure_ = Failure::kTimeout;
      return -1;
    }
    ssize_t received = -1;
    do {
      received = recv(socket_, buffer_.data(), buffer_.size(), 0);
    } while (received < 0 && errno == EINTR);
    if (received <= 0) {
      failure_ = Failure::kClosed;
      return -1;
    }
    begin_ = 0;
    end_ = static_cast<std::size_t>(received);
  }
  const std::size_t count = std::min({size, end_ - begin_, bytes_left_});
  std::memcpy(data, buffer_.data() + begin_, count);
  begin_ += count;
  bytes_left_ -= count;
  return static_cast<std::ptrdiff_t>(count);
}

std::ptrdiff_t Connection::write(const char* data, std::size_t size) {
  if (failure_ == Failure::kClosed) return -1;
  while (true) {
    if (!wait_for(socket_, POLLOUT, std::chrono::seconds(write_seconds_))) break;
    const ssize_t sent = send(socket_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) break;
  }
  failure_ = Failure::kClosed;
  return -1;
}

bool Connection::writable() const {
  return connected() && wait_for(socket_, POLLOUT, std::chrono::milliseconds(0));
}

bool Connection::connected() const {
  if (failure_ == Failure::kClosed) return false;
  pollfd entry = {socket_, POLLRDHUP, 0};
  return poll(&entry, 1, 0) <= 0 || (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

std::string Connection::remote_address() const {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&address)->sin_addr, text, sizeof text);
  } else if (address.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr, text, sizeof text);
  }
  return text;
}

void Connection::finish() {
  shutdown(socket_, SHUT_WR);
  const auto deadline = Clock::now() + kLingerTime;
  std::size_t read = 0;
  while (read < kLingerBytes && Clock::now() < deadline) {
    if (!wait_for(socket_, POLLIN, kLingerTime)) break;
    const ssize_t received = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (received <= 0) break;
    read += static_cast<std::size_t>(received);
  }
}

}  // namespace fdllm::server
