#include "backend/cpu/host_memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/round_up.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace fdllm::cpu {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

HostMemory::HostMemory(std::size_t bytes, std::string_view what) {
  if (bytes == 0) return;
  if (bytes < std::numeric_limits<std::size_t>::max() / 2) {
#if defined(__linux__)
    if (bytes >= kHugePage) {
      // What lies around the aligned block goes back, so that no huge page reaches past its end.
      const std::size_t length = round_up(bytes, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
      void* mapping = mmap(nullptr, length + kHugePage, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapping != MAP_FAILED) {
        const auto address = reinterpret_cast<std::uintptr_t>(mapping);
        const std::size_t before = round_up<std::size_t>(address, kHugePage) - address;
        data_ = static_cast<std::byte*>(mapping) + before;
        if (before > 0) munmap(mapping, before);
        if (before < kHugePage) munmap(data_ + length, kHugePage - before);
        mapped_ = length;
        size_ = bytes;
        madvise(data_, length, MADV_HUGEPAGE);  // a wish: small pages work as well
        return;
      }
    } else
#endif
    {
      const std::size_t length = round_up(bytes, kAlignment);
      data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, length));
      if (data_ != nullptr) {
        size_ = bytes;
        std::memset(data_, 0, length);
        return;
      }
    }
  }
  fail(ErrorCode::kOutOfMemory, "{}: could not allocate {:.1f} MiB", what,
       static_cast<double>(bytes) / (1 << 20));
}

void HostMemory::reserve(std::size_t bytes, std::string_view what) {
  if (bytes <= size_) return;
  release();
  *this = HostMemory(bytes, what);
}

void HostMemory::release() noexcept {
#if defined(__linux__)
  if (mapped_ != 0) munmap(data_, mapped_);
#endif
  if (mapped_ == 0) std::free(data_);
  data_ = nullptr;
  size_ = 0;
  mapped_ = 0;
}

}  // namespace fdllm::cpu
