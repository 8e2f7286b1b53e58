#include "server/http/connection_table.h"

#include <algorithm>
#include <tuple>

#include <poll.h>
#include <sys/socket.h>

namespace fdllm::server {
namespace {

// Who has just connected most likely sends in a moment, and a request that has begun to come is
// whole in one.
constexpr auto kGrace = std::chrono::milliseconds(50);
constexpr int kNever = 100;

bool has_bytes(int socket) {
  pollfd entry = {socket, POLLIN, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace

ConnectionTable::Entry::Entry(ConnectionTable& table, int socket)
    : table_(table), socket_(socket), since_(Clock::now()) {
  const std::lock_guard lock(table_.mutex_);
  table_.entries_.push_back(this);
  ended_ = table_.ends_;
}

ConnectionTable::Entry::~Entry() {
  const std::lock_guard lock(table_.mutex_);
  std::erase(table_.entries_, this);
}

bool ConnectionTable::Entry::enter(Phase phase) {
  const std::lock_guard lock(table_.mutex_);
  has_asked_ = has_asked_ || phase_ == Phase::kAnswering;
  phase_ = phase;
  since_ = Clock::now();
  const bool begins_anew = phase == Phase::kIdle || phase == Phase::kReading;
  return !ended_ && !(table_.ends_ && begins_anew);
}

bool ConnectionTable::Entry::is_ended() const {
  const std::lock_guard lock(table_.mutex_);
  return ended_ || table_.ends_;
}

int ConnectionTable::rank(const Entry& entry, Clock::time_point now) {
  if (entry.ended_) return kNever;
  switch (entry.phase_) {
    case Phase::kLeaving:
      return 0;
    case Phase::kIdle:
      if (has_bytes(entry.socket_)) return kNever;
      if (entry.has_asked_) return 2;
      return now - entry.since_ < kGrace ? kNever : 1;
    case Phase::kReading:
      if (now - entry.since_ < kGrace) return kNever;
      return entry.has_asked_ ? 3 : 1;
    case Phase::kAnswering:
      break;
  }
  return kNever;
}

void ConnectionTable::end(Entry& entry) {
  entry.ended_ = true;
  // Its thread wakes as if the peer had ended; what it still says gets through.
  shutdown(entry.socket_, SHUT_RD);
}

ConnectionTable::Room ConnectionTable::end_one() {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  Entry* best = nullptr;
  std::tuple<int, Clock::time_point> best_order = {kNever, now};
  for (Entry* entry : entries_) {
    const std::tuple<int, Clock::time_point> order = {rank(*entry, now), entry->since_};
    if (std::get<0>(order) == kNever || order >= best_order) continue;
    best = entry;
    best_order = order;
  }
  if (best == nullptr) {
    const bool is_soon = std::ranges::any_of(
        entries_, [](const Entry* entry) { return entry->phase_ != Phase::kAnswering; });
    return is_soon ? Room::kSoon : Room::kNone;
  }
  end(*best);
  return Room::kMade;
}

void ConnectionTable::end_all() {
  const std::lock_guard lock(mutex_);
  ends_ = true;
  for (Entry* entry : entries_) {
    if (entry->phase_ != Phase::kAnswering && !entry->ended_) end(*entry);
  }
}

}  // namespace fdllm::server
