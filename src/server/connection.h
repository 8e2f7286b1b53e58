#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace fdllm::server {

/// A socket with limits on time and bytes. Owned by one thread.
class Connection {
 public:
  enum class Failure : std::uint8_t { kNone, kClosed, kTimeout, kTooLarge };

  /// Takes over the socket.
  Connection(int socket, int write_seconds);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins a request: `seconds` and `bytes` from now on for all its reads.
  void begin_request(int seconds, std::size_t bytes);
  /// Allows the request that many bytes more.
  void allow(std::size_t bytes) { bytes_left_ += bytes; }
  /// Whether a byte comes within that time.
  bool wait_readable(std::chrono::milliseconds time) const;
  /// Bytes read, or -1 (failure() says why).
  std::ptrdiff_t read(char* data, std::size_t size);
  /// Bytes written, or -1.
  std::ptrdiff_t write(const char* data, std::size_t size);
  bool writable() const;
  /// Whether the peer can still be written to, as far as the system knows.
  bool connected() const;
  Failure failure() const { return failure_; }
  std::string remote_address() const;
  /// Ends the connection so that the peer gets all that was written: its unread bytes are thrown
  /// away for a moment, since closing over them would reset the connection.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  int socket_;
  int write_seconds_;
  Clock::time_point deadline_;
  std::size_t bytes_left_ = 0;
  Failure failure_ = Failure::kNone;
  std::array<char, 16384> buffer_;
  std::size_t begin_ = 0, end_ = 0;  ///< unread bytes of buffer_
};

}  // namespace fdllm::server
