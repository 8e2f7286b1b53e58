#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace fdllm::bench {

/// The processor's name; "unknown" where the system does not tell.
std::string cpu_name();

/// Bytes of anonymous memory that this process holds (RssAnon): packed weights, K/V and buffers,
/// but no mapped files. 0 where the system does not tell.
std::uint64_t anonymous_memory();

/// The most anonymous memory that was seen while it lives: it looks every few milliseconds, on a
/// thread of its own, which costs a ten thousandth of a core.
class MemoryWatch {
 public:
  MemoryWatch();
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  std::uint64_t peak();

 private:
  void look();

  std::atomic<std::uint64_t> peak_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace fdllm::bench
