#include "base/mapping_table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>

#include <sys/stat.h>

#include "base/check.h"

namespace fdllm {
namespace {

constexpr std::uintptr_t kFree = 0;
constexpr std::uintptr_t kTaken = 1;  // its other members are being written

struct Mapping {
  std::atomic<std::uintptr_t> begin{kFree};
  std::atomic<std::uintptr_t> end{0};
  std::array<char, 256> name{};
  MappedState state;
  int descriptor = -1;
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free, "needed in a signal handler");

std::array<Mapping, 512> g_mappings;
std::mutex g_changes;  // of the table; the handler of a signal only reads what is atomic

}  // namespace

MappedState state_of(int descriptor) {
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return {};
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .bytes = status.st_size,
          .modified = std::int64_t{status.st_mtim.tv_sec} * kNanoseconds + status.st_mtim.tv_nsec};
}

void check_mapped_files() {
  const std::lock_guard lock(g_changes);
  for (const Mapping& mapping : g_mappings) {
    if (mapping.begin <= kTaken) continue;
    const MappedState now = state_of(mapping.descriptor);
    const bool is_it = now.device == mapping.state.device && now.inode == mapping.state.inode;
    if (!is_it || now == mapping.state) continue;
    fail(ErrorCode::kCorruptFile,
         "{}: the file was changed while it was in use; start again when it is whole (a new "
         "version is best written beside it and renamed)",
         mapping.name.data());
  }
}

void add_mapping(const void* begin, const MappedState& state, int descriptor,
                 const char* name) noexcept {
  const std::lock_guard lock(g_changes);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  for (Mapping& mapping : g_mappings) {
    std::uintptr_t expected = kFree;
    if (!mapping.begin.compare_exchange_strong(expected, kTaken)) continue;
    // The end of a long path is what tells files apart.
    const std::size_t length = std::strlen(name);
    const std::size_t kept = std::min(length, mapping.name.size() - 1);
    std::memcpy(mapping.name.data(), name + (length - kept), kept);
    mapping.name[kept] = '\0';
    mapping.state = state;
    mapping.descriptor = descriptor;
    mapping.end = address + static_cast<std::uintptr_t>(state.bytes);
    mapping.begin = address;
    return;
  }
}

void remove_mapping(const void* begin) noexcept {
  const std::lock_guard lock(g_changes);
  for (Mapping& mapping : g_mappings) {
    auto address = reinterpret_cast<std::uintptr_t>(begin);
    if (mapping.begin.compare_exchange_strong(address, kFree)) return;
  }
}

const char* mapped_file_at(const void* address) noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const Mapping& mapping : g_mappings) {
    const std::uintptr_t begin = mapping.begin;
    if (begin > kTaken && at >= begin && at < mapping.end) return mapping.name.data();
  }
  return nullptr;
}

}  // namespace fdllm
