#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fdllm::cuda {

class Launch;
class LaunchQueue;
/// Where kernels are started (launch_queue.h).
using Stream = LaunchQueue*;

/// Launches that the device starts as one, with the arguments that they had when it was captured.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void start() = 0;
};

/// A GPU, or its emulation: memory, copies and the one stream that everything runs on. Implemented
/// by runtime_cuda.cpp and emulation/runtime.cpp, of which a program has one.
class Runtime {
 public:
  /// GPUs that there are; 0 where the driver tells none.
  static int device_count();

  /// Takes a GPU by its number. Throws kUnsupported where there is none at all, or it is too old,
  /// and kInvalidArgument where there is none of that number.
  explicit Runtime(int ordinal = 0);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const std::string& device_name() const { return name_; }
  /// A cudaStream_t; nullptr in the emulation.
  void* native_stream() const { return stream_; }
  Stream stream() const { return queue_; }
  /// What waits in `queue` (nullptr: none) is started before copies, synchronize() and release().
  void set_queue(LaunchQueue* queue) { queue_ = queue; }
  std::unique_ptr<Graph> capture(std::span<const Launch> launches);

  /// Memory of the device, zeroed. Throws kOutOfMemory naming `what`, its size and what is free.
  std::byte* allocate(std::size_t bytes, std::string_view what);
  void release(std::byte* memory) noexcept;
  /// Bytes of the device that nobody has taken.
  std::uint64_t free_memory() const;
  /// Memory of the host that copies run fastest from and to.
  std::byte* allocate_pinned(std::size_t bytes, std::string_view what);
  void release_pinned(std::byte* memory) noexcept;

  /// Both follow what the stream did before and return at once; the host's side must stay as it is
  /// until synchronize().
  void copy_to_device(void* to, const void* from, std::size_t bytes);
  void copy_to_host(void* to, const void* from, std::size_t bytes);
  void synchronize();

  /// What the calling thread starts from now on runs on this device.
  void make_current() const;
  /// Kernels of this device may read the memory of `peer`, another device.
  bool can_read(const Runtime& peer);
  /// As copy_to_device(), from the memory of a device that kernels here may not read.
  void copy_from_peer(void* to, const Runtime& peer, const void* from, std::size_t bytes);
  /// Starts what waits and notes where the stream is, for wait_for_mark() of other devices.
  void mark();
  /// What this stream does from now on comes after what `other`'s had been asked for at its mark().
  void wait_for_mark(const Runtime& other);

 private:
  /// Starts what waits in the queue.
  void submit();
  /// The same where nothing may be thrown: synchronize() throws it.
  void submit_quietly() noexcept;
  void rethrow_error();

  std::string name_;
  int ordinal_;
  void* stream_ = nullptr;
  void* mark_ = nullptr;             ///< a cudaEvent_t
  std::vector<int> readable_peers_;  ///< ordinals
  LaunchQueue* queue_ = nullptr;
  std::exception_ptr error_;
};

/// Throws kInternal with CUDA's words unless `result` (a cudaError_t) is success.
void check_call(int result, const char* what);

enum class MemoryKind { kDevice, kPinned };

/// A block of memory of a runtime, which must outlive it.
template <MemoryKind kKind>
class Memory {
 public:
  Memory() = default;
  Memory(Runtime& runtime, std::size_t bytes, std::string_view what)
      : runtime_(&runtime), size_(bytes) {
    if (bytes == 0) return;
    data_ = kKind == MemoryKind::kDevice ? runtime.allocate(bytes, what)
                                         : runtime.allocate_pinned(bytes, what);
  }
  ~Memory() {
    if (data_ == nullptr) return;
    kKind == MemoryKind::kDevice ? runtime_->release(data_) : runtime_->release_pinned(data_);
  }
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    Memory taken(std::move(other));
    swap(taken);
    return *this;
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  /// At least `bytes`; what it held is lost if it must grow, which waits for the stream.
  void reserve(Runtime& runtime, std::size_t bytes, std::string_view what) {
    if (bytes <= size_) return;
    runtime.synchronize();
    *this = Memory();
    *this = Memory(runtime, bytes, what);
  }

 private:
  void swap(Memory& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  Runtime* runtime_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

using DeviceMemory = Memory<MemoryKind::kDevice>;
using PinnedMemory = Memory<MemoryKind::kPinned>;

}  // namespace fdllm::cuda
