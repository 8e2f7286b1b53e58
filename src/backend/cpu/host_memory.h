#pragma once
#include <cstddef>
#include <string_view>
#include <utility>

namespace fdllm::cpu {

/// Memory aligned to 64 bytes, its contents zero. Large blocks are mapped at a multiple of 2 MB and
/// ask for huge pages: 5 to 16 % more bandwidth where weights stream from memory.
class HostMemory {
 public:
  HostMemory() = default;
  /// Throws kOutOfMemory naming `what` and the size.
  HostMemory(std::size_t bytes, std::string_view what);
  ~HostMemory() { release(); }
  HostMemory(HostMemory&& other) noexcept { swap(other); }
  HostMemory& operator=(HostMemory&& other) noexcept {
    HostMemory taken(std::move(other));
    swap(taken);
    return *this;
  }

  std::size_t size() const { return size_; }
  std::byte* data() const { return data_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

  /// At least `bytes`; what it held is lost if it must grow.
  void reserve(std::size_t bytes, std::string_view what);

 private:
  void swap(HostMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
  }
  void release() noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;  ///< bytes of the mapping that data_ begins; 0: not mapped
};

}  // namespace fdllm::cpu
