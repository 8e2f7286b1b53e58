#pragma once
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include "backend/peer_backend.h"
#include "base/thread_pool.h"

namespace fdllm::tensor_parallel {

/// Back ends of one kind, each with a device of its own, that hold a model together.
class DeviceGroup {
 public:
  /// Throws kUnsupported for a back end that cannot be one of several.
  explicit DeviceGroup(std::vector<std::unique_ptr<Backend>> devices);

  int size() const { return static_cast<int>(devices_.size()); }
  PeerBackend& operator[](int device) const { return *devices_[device]; }

  /// What is asked of any device from now on comes after all that any was asked for so far.
  void barrier();
  /// Barriers so far.
  std::uint64_t barriers() const { return barriers_; }

  /// function(device) for all devices at once, for what the host waits for.
  template <typename Function>
  void run_at_once(Function&& function) {
    std::vector<std::exception_ptr> errors(devices_.size());
    threads_.run(size(), size(), [&](std::int64_t device, int) noexcept {
      try {
        function(static_cast<int>(device));
      } catch (...) {
        errors[device] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors) {
      if (error != nullptr) std::rethrow_exception(error);
    }
  }

 private:
  std::vector<std::unique_ptr<PeerBackend>> devices_;
  ThreadPool threads_;
  std::uint64_t barriers_ = 0;
};

}  // namespace fdllm::tensor_parallel
