// The emulated device's memory is the host's; what runs on its stream is done when it is asked for.
#include "backend/cuda/runtime.h"

#include <cstdlib>
#include <cstring>

#include "base/check.h"

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

}  // namespace

Runtime::Runtime() : name_("emulated") {}
Runtime::~Runtime() = default;

std::byte* Runtime::allocate(std::size_t bytes, std::string_view what) {
  return allocate_aligned(bytes, what);
}
void Runtime::release(std::byte* memory) noexcept {
  std::free(memory);
}
std::byte* Runtime::allocate_pinned(std::size_t bytes, std::string_view what) {
  return allocate_aligned(bytes, what);
}
void Runtime::release_pinned(std::byte* memory) noexcept {
  std::free(memory);
}
void Runtime::copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void Runtime::copy_to_host(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void Runtime::synchronize() {}

void check_call(int result, const char* what) {
  check(result == 0, what);
}

}  // namespace fdllm::cuda
