#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <vector>

#include "backend/cuda/device_lists.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

/// One operation on the stream with all its arguments. `Call` is trivially copyable, can be
/// compared with == and has `void start(void* native_stream) const`; arguments are what its members
/// are now, so what may change between two forwards must be in device memory (LaunchQueue::list).
class Launch {
 public:
  template <typename Call>
  explicit Launch(const Call& call) : operations_(&kOperations<Call>) {
    static_assert(std::is_trivially_copyable_v<Call> && sizeof(Call) <= kBytes &&
                  alignof(Call) <= alignof(std::max_align_t));
    new (storage_) Call(call);
  }

  void start(void* native_stream) const { operations_->start(storage_, native_stream); }
  friend bool operator==(const Launch& a, const Launch& b) {
    return a.operations_ == b.operations_ && a.operations_->equal(a.storage_, b.storage_);
  }

 private:
  static constexpr std::size_t kBytes = 384;

  struct Operations {
    void (*start)(const std::byte* call, void* native_stream);
    bool (*equal)(const std::byte* a, const std::byte* b);
  };
  template <typename Call>
  static const Call& as(const std::byte* storage) {
    return *std::launder(reinterpret_cast<const Call*>(storage));
  }
  template <typename Call>
  static constexpr Operations kOperations{
      [](const std::byte* call, void* native_stream) { as<Call>(call).start(native_stream); },
      [](const std::byte* a, const std::byte* b) { return as<Call>(a) == as<Call>(b); }};

  const Operations* operations_;
  alignas(std::max_align_t) std::byte storage_[kBytes];
};

/// How many flushes went which way.
struct LaunchCounts {
  std::int64_t direct = 0;    ///< launch by launch
  std::int64_t captured = 0;  ///< made into a graph, which was then started
  std::int64_t replayed = 0;  ///< as a graph that was there already
};

enum class LaunchMode : std::uint8_t {
  kGraphs,  ///< operations wait for a flush; the same ones a second time become a graph
  kDirect,  ///< each starts at once
};

/// Operations that wait to be started together. A flush sends the lists that they read, in one
/// copy, and starts them: lists of launches that came before, argument for argument, as one graph
/// of the device, so that a step costs one start instead of hundreds. Steps are alike because what
/// differs between them (rows, positions, K/V, ...) is in lists, whose sizes are rounded up.
///
/// Whatever looks at the device's memory or frees some (Runtime's copies, synchronize(), release())
/// flushes before; so nothing depends on when operations start. A list holds until the flush:
/// memory is reserved before lists are asked for, and the launch that reads them comes next.
class LaunchQueue {
 public:
  /// Launches in all lists of them that are remembered: some 50 forwards of a large model, whether
  /// each is flushed at once or, between several devices, layer by layer.
  static constexpr std::size_t kMostLaunches = 24000;

  LaunchQueue(Runtime& runtime, LaunchMode mode, std::size_t most_launches = kMostLaunches);
  ~LaunchQueue();
  LaunchQueue(const LaunchQueue&) = delete;
  LaunchQueue& operator=(const LaunchQueue&) = delete;

  void add(const Launch& launch);
  /// In place of a launch of no blocks.
  void skip() { is_list_open_ = false; }
  void flush();

  /// `values` in device memory, readable for the launches until the next flush. The address depends
  /// on the order of lists since the last flush and on their rounded sizes only.
  template <typename T>
  const T* list(ListUse use, std::span<const T> values) {
    is_list_open_ = true;
    const std::size_t capacity = static_cast<std::size_t>(bucket_of(std::ssize(values)));
    return static_cast<const T*>(lists_.add(use, std::as_bytes(values), capacity * sizeof(T)));
  }
  Rows rows(std::int64_t count) {
    const auto value = static_cast<std::int32_t>(count);
    return {list<std::int32_t>(ListUse::kRowCount, std::span(&value, 1)), bucket_of(count)};
  }

  const LaunchCounts& counts() const { return counts_; }

 private:
  /// Launches that were flushed together, and their graph from the second time on.
  struct Known {
    std::vector<Launch> launches;
    std::unique_ptr<Graph> graph;
    std::uint64_t last_use = 0;
  };

  void start_pending();
  Known* find_pending();
  void remember_pending();

  Runtime* runtime_;
  LaunchMode mode_;
  DeviceLists lists_;
  std::vector<Launch> pending_;
  std::size_t most_launches_;
  std::vector<Known> known_;
  std::size_t known_launches_ = 0;
  /// Lists that come again come in the same order: the search begins after the last one found.
  std::size_t next_ = 0;
  std::uint64_t uses_ = 0;
  LaunchCounts counts_;
  bool is_flushing_ = false;
  bool is_list_open_ = false;  ///< a list was asked for and no launch came since
};

}  // namespace fdllm::cuda
