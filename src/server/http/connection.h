#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "server/http/socket.h"

namespace fdllm::server {

/// A socket with limits on time. Owned by one thread.
class Connection {
 public:
  enum class Failure : std::uint8_t { kNone, kClosed, kTimeout };

  /// `write_seconds`: how long the peer may leave a full pipe unread.
  Connection(Socket socket, int write_seconds);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const { return socket_.descriptor(); }
  /// Begins a request: all its reads take at most that many seconds from now on.
  void begin_request(int seconds);
  /// Whether a byte (or the peer's end) comes within that time.
  bool wait_readable(std::chrono::milliseconds time) const;
  /// Bytes that have come and were not taken yet; waits where there are none. Empty: failure() says
  /// why.
  std::string_view receive();
  /// Takes the first bytes of what receive() returned.
  void take(std::size_t bytes) { begin_ += bytes; }
  /// Whether receive() has bytes without waiting for the peer's next ones.
  bool has_received() const { return begin_ < end_; }
  /// Sends all pieces, one after the other; false: the peer is gone or reads too slowly.
  bool write(std::initializer_list<std::string_view> pieces);
  /// Sends what the system takes at once, for goodbyes to a peer that nobody waits for.
  void write_at_once(std::string_view text) noexcept;
  /// Whether the peer can still be written to, as far as the system knows.
  bool connected() const;
  /// Why receive() had nothing.
  Failure failure() const { return failure_; }
  std::string remote_address() const;
  /// Ends the connection so that the peer gets all that was written: its unread bytes are thrown
  /// away for a moment, since closing over them would reset the connection.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  Socket socket_;
  int write_seconds_;
  Clock::time_point deadline_;
  Failure failure_ = Failure::kNone;
  bool is_broken_ = false;  ///< it can't be written to any more
  std::array<char, 16384> buffer_;
  std::size_t begin_ = 0, end_ = 0;  ///< bytes of buffer_ that were not taken
};

}  // namespace fdllm::server
