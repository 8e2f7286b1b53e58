#include "engine/memory_account.h"

#include <algorithm>
#include <new>
#include <utility>

namespace fdllm {
namespace {

/// A measurement reads files of /proc and /sys: at most ten times a second.
constexpr auto kFresh = std::chrono::milliseconds(100);

std::uint64_t minus(std::uint64_t from, std::uint64_t what) {
  return from - std::min(from, what);
}

}  // namespace

MemoryAccount::MemoryAccount(Settings settings) : settings_(std::move(settings)) {
  if (settings_.limit) {
    budget_ = settings_.limit;
  } else {
    measure(Clock::duration::zero());
  }
}

/// Measures again where the last time is `oldest` ago.
void MemoryAccount::measure(Clock::duration oldest) {
  if (settings_.limit || !settings_.measure) return;
  const Clock::time_point now = Clock::now();
  if (measured_at_ != Clock::time_point() && now - measured_at_ < oldest) return;
  measured_at_ = now;
  try {
    available_ = settings_.measure();
  } catch (const std::bad_alloc&) {
    return;  // what was known stands
  }
  // What is live keeps its share; when nothing is, more may have become free than there was.
  if (available_ && reserved_ == 0) {
    budget_ = std::max(budget_.value_or(0), *available_ + buffers_);
  }
}

std::optional<std::uint64_t> MemoryAccount::budget() const {
  const std::lock_guard lock(mutex_);
  return budget_;
}

std::optional<std::uint64_t> MemoryAccount::room_locked() const {
  if (!budget_) return std::nullopt;
  const std::uint64_t booked = minus(*budget_, reserved_);
  return available_ ? std::min(booked, minus(*available_ + buffers_, untouched_)) : booked;
}

std::optional<std::uint64_t> MemoryAccount::room() const {
  const std::lock_guard lock(mutex_);
  return room_locked();
}

bool MemoryAccount::fits(const MemoryNeed& need) {
  const std::lock_guard lock(mutex_);
  measure(kFresh);
  const std::optional<std::uint64_t> room = room_locked();
  return !room || need.kv + std::max(need.buffers, buffers_) <= *room;
}

bool MemoryAccount::fits_alone(const MemoryNeed& need) {
  const std::lock_guard lock(mutex_);
  if (!budget_ || need.total() <= *budget_) return true;
  measure(kFresh);
  if (!available_) return false;
  // What is live and in use now would be free then.
  return need.total() <= *available_ + (reserved_ - untouched_) + buffers_;
}

void MemoryAccount::reserve(std::uint64_t kv) {
  const std::lock_guard lock(mutex_);
  reserved_ += kv;
  if (settings_.lazy) {
    untouched_ += kv;
  } else if (available_) {
    available_ = minus(*available_, kv);
  }
}

void MemoryAccount::touched(std::uint64_t kv) {
  const std::lock_guard lock(mutex_);
  if (!settings_.lazy) return;
  untouched_ = minus(untouched_, kv);
  if (available_) available_ = minus(*available_, kv);
}

void MemoryAccount::release(std::uint64_t kv, bool was_touched) {
  const std::lock_guard lock(mutex_);
  reserved_ = minus(reserved_, kv);
  if (settings_.lazy && !was_touched) {
    untouched_ = minus(untouched_, kv);
  } else if (available_) {
    *available_ += kv;
  }
}

void MemoryAccount::set_buffers(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (available_) available_ = minus(*available_ + buffers_, bytes);
  buffers_ = bytes;
}

MemoryAccount::Settings account_settings(const Backend& backend, const EngineOptions& options,
                                         std::uint64_t weight_bytes) {
  MemoryAccount::Settings settings;
  if (options.memory_limit != 0) settings.limit = minus(options.memory_limit, weight_bytes);
  settings.measure = [&backend] { return backend.available_memory(); };
  settings.lazy = backend.takes_memory_lazily();
  return settings;
}

}  // namespace fdllm
