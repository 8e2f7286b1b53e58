#pragma once
#include <chrono>
#include <cstdint>
#include <mutex>
#include <vector>

namespace fdllm::server {

/// Knows what each connection waits for, so that room can be made: who keeps a place and sends
/// nothing must not keep others out. Thread-safe.
class ConnectionTable {
 public:
  enum class Phase : std::uint8_t {
    kIdle,       ///< waits for a request
    kReading,    ///< a request has begun to come
    kAnswering,  ///< the request is here: the connection is not ended before its answer is sent
    kLeaving,    ///< all is said
  };

  /// A connection's line of the table, of its own thread. The socket stays open meanwhile.
  class Entry {
   public:
    Entry(ConnectionTable& table, int socket);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    /// Says what the connection does from now on; false: it has to end instead.
    bool enter(Phase phase);
    /// Whether its place is needed by others, or the server stops.
    bool is_ended() const;

   private:
    friend class ConnectionTable;

    ConnectionTable& table_;
    int socket_;
    Phase phase_ = Phase::kIdle;
    std::chrono::steady_clock::time_point since_;
    bool has_asked_ = false;  ///< one of its requests was answered
    bool ended_ = false;
  };

  enum class Room : std::uint8_t {
    kMade,
    kSoon,  ///< some are about to end, or have only just begun to send
    kNone,  ///< all are being answered
  };
  /// Ends the connection that can best be missed: first those that are leaving, then those that
  /// have never finished a request, then idle ones, in each the one that has waited longest.
  Room end_one();
  /// Ends all that are not being answered, and from now on each that ends its answer or comes.
  void end_all();

 private:
  using Clock = std::chrono::steady_clock;

  static int rank(const Entry& entry, Clock::time_point now);
  static void end(Entry& entry);

  mutable std::mutex mutex_;
  std::vector<Entry*> entries_;
  bool ends_ = false;
};

}  // namespace fdllm::server
