#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "fastdllm/options.h"

#include "backend/backend.h"

namespace fdllm {

/// What a request needs to be live.
struct MemoryNeed {
  std::uint64_t kv = 0;
  std::uint64_t buffers = 0;  ///< of the forwards of all live requests, once it is one of them
  std::uint64_t total() const { return kv + buffers; }
};

/// The one account of the memory that K/V and buffers take. Its budget is what the user allows or,
/// without such a limit, what was available when the account was opened (after loading) or when
/// nothing was live later. K/V are booked when a request is admitted, whether or not their pages
/// have been touched: what the system says is available does not fall until they are. Besides, no
/// request is admitted for whose K/V the system has no memory left at that moment, since other
/// processes take some too. Thread-safe.
class MemoryAccount {
 public:
  /// Tells the bytes that are available now; nullopt where that is unknown.
  using Measure = std::function<std::optional<std::uint64_t>()>;
  using Clock = std::chrono::steady_clock;

  struct Settings {
    std::optional<std::uint64_t> limit;  ///< bytes that the user allows: then nothing is measured
    Measure measure;
    /// Memory is taken when it is first written, not when it is allocated.
    bool lazy = false;
  };

  explicit MemoryAccount(Settings settings);

  /// nullopt: no limit is known.
  std::optional<std::uint64_t> budget() const;
  /// Whether such a request would fit if it were the only one. Measures anew before it says no.
  bool fits_alone(const MemoryNeed& need);
  /// Whether it fits beside those that are live.
  bool fits(const MemoryNeed& need);
  /// Bytes that the K/V of another request may take together with all buffers.
  std::optional<std::uint64_t> room() const;

  void reserve(std::uint64_t kv);
  /// All pages of K/V that were reserved have been written by now.
  void touched(std::uint64_t kv);
  /// `was_touched`: touched() was called for them.
  void release(std::uint64_t kv, bool was_touched);
  /// Buffers of so many bytes exist now.
  void set_buffers(std::uint64_t bytes);

 private:
  void measure(Clock::duration oldest);
  std::optional<std::uint64_t> room_locked() const;

  Settings settings_;
  mutable std::mutex mutex_;
  std::optional<std::uint64_t> budget_;
  std::optional<std::uint64_t>
      available_;  ///< measured, and kept up to date by what was done since
  Clock::time_point measured_at_;
  std::uint64_t reserved_ = 0;   ///< K/V
  std::uint64_t untouched_ = 0;  ///< of it what `available_` does not know of
  std::uint64_t buffers_ = 0;
};

/// Of EngineOptions::memory_limit what the weights leave or, without a limit, what the back end has
/// available. `backend` must outlive the account.
MemoryAccount::Settings account_settings(const Backend& backend, const EngineOptions& options,
                                         std::uint64_t weight_bytes);

}  // namespace fdllm
