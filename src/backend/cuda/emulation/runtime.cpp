// The emulated device's memory is the host's; what runs on its stream is done when it is asked for.
#include "backend/cuda/runtime.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "backend/cuda/emulation/memory.h"
#include "backend/cuda/launch_queue.h"
#include "base/check.h"
#include "base/system_memory.h"

namespace fdllm::cuda {
namespace {

constexpr std::size_t kAlignment = 256;  // as cudaMalloc's

std::byte* allocate_aligned(std::size_t bytes, std::string_view what) {
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = rounded < bytes ? nullptr : std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) {
    fail(ErrorCode::kOutOfMemory, "{}: could not allocate {:.1f} MiB", what,
         static_cast<double>(bytes) / (1 << 20));
  }
  std::memset(memory, 0, rounded);
  return static_cast<std::byte*>(memory);
}

/// What lies in the devices' memories.
struct Allocations {
  std::mutex mutex;
  std::map<const std::byte*, std::size_t> bytes;
  std::array<std::uint64_t, emulation::kDevices> used{};
  std::uint64_t limit = 0;  ///< of each device; 0: the host's memory
};

std::atomic<bool> can_read_peers = true;

Allocations& allocations() {
  static Allocations all;
  return all;
}

/// As on a GPU, arguments are those of the capture.
class EmulatedGraph final : public Graph {
 public:
  explicit EmulatedGraph(std::span<const Launch> launches)
      : launches_(launches.begin(), launches.end()) {}
  void start() override {
    for (const Launch& launch : launches_) launch.start(nullptr);
  }

 private:
  std::vector<Launch> launches_;
};

}  // namespace

namespace emulation {

void set_device_memory(std::uint64_t bytes) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  all.limit = bytes;
}

std::uint64_t used_device_memory(int ordinal) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  return all.used[ordinal];
}

void set_peer_access(bool can_read) {
  can_read_peers = can_read;
}

}  // namespace emulation

int Runtime::device_count() {
  return emulation::kDevices;
}

Runtime::Runtime(int ordinal) : name_("emulated"), ordinal_(ordinal) {
  if (ordinal < 0 || ordinal >= emulation::kDevices) {
    fail(ErrorCode::kInvalidArgument,
         "device: expected the number of an emulated device, 0 to {}, found {}",
         emulation::kDevices - 1, ordinal);
  }
}
Runtime::~Runtime() = default;

std::byte* Runtime::allocate(std::size_t bytes, std::string_view what) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  std::uint64_t& used = all.used[ordinal_];
  if (all.limit != 0 && bytes > all.limit - std::min(all.limit, used)) {
    fail(ErrorCode::kOutOfMemory, "{}: could not allocate {}; the emulated device has {}, {} taken",
         what, bytes_text(bytes), bytes_text(all.limit), bytes_text(used));
  }
  std::byte* const memory = allocate_aligned(bytes, what);
  all.bytes.emplace(memory, bytes);
  used += bytes;
  return memory;
}
void Runtime::release(std::byte* memory) noexcept {
  submit_quietly();
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  const auto found = all.bytes.find(memory);
  all.used[ordinal_] -= found->second;
  all.bytes.erase(found);
  std::free(memory);
}
std::uint64_t Runtime::free_memory() const {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  if (all.limit != 0) return all.limit - std::min(all.limit, all.used[ordinal_]);
  return available_memory().value_or(std::uint64_t{1} << 40);
}
std::byte* Runtime::allocate_pinned(std::size_t bytes, std::string_view what) {
  return allocate_aligned(bytes, what);
}
void Runtime::release_pinned(std::byte* memory) noexcept {
  std::free(memory);
}
void Runtime::copy_to_device(void* to, const void* from, std::size_t bytes) {
  submit();
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void Runtime::copy_to_host(void* to, const void* from, std::size_t bytes) {
  submit();
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void Runtime::synchronize() {
  submit();
  rethrow_error();
}
void Runtime::make_current() const {}
bool Runtime::can_read(const Runtime& /*peer*/) {
  return can_read_peers;
}
void Runtime::copy_from_peer(void* to, const Runtime& /*peer*/, const void* from,
                             std::size_t bytes) {
  submit();
  if (bytes > 0) std::memcpy(to, from, bytes);
}
// Operations that wait in a queue have not happened yet: without a mark, another device reads what
// was there before them, and a missing one shows as a wrong result.
void Runtime::mark() {
  submit();
}
void Runtime::wait_for_mark(const Runtime& /*other*/) {
  submit();
}

std::unique_ptr<Graph> Runtime::capture(std::span<const Launch> launches) {
  return std::make_unique<EmulatedGraph>(launches);
}

void check_call(int result, const char* what) {
  check(result == 0, what);
}

}  // namespace fdllm::cuda
