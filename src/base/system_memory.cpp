#include "base/system_memory.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "base/control_group.h"

#if defined(__linux__)
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace fdllm {
namespace {

std::optional<std::uint64_t> machine_available(const std::string& root) {
  std::ifstream in(root + "/proc/meminfo");
  std::string key;
  std::uint64_t kilobytes = 0;
  std::string unit;
  while (in >> key >> kilobytes) {
    std::getline(in, unit);
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return std::nullopt;
}

/// What `ulimit -v` leaves of the address space.
std::optional<std::uint64_t> address_space_left(const std::string& root) {
#if defined(__linux__)
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  std::ifstream in(root + "/proc/self/statm");
  std::uint64_t pages = 0;
  if (!(in >> pages)) return std::nullopt;
  const std::uint64_t used = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, used);
#else
  static_cast<void>(root);
  return std::nullopt;
#endif
}

}  // namespace

std::optional<std::uint64_t> available_memory(const std::string& root) {
  std::optional<std::uint64_t> least = machine_available(root);
  for (const auto& left : {control_group_memory_left(root), address_space_left(root)}) {
    if (left) least = std::min(least.value_or(*left), *left);
  }
  return least;
}

std::string bytes_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", bytes);
}

}  // namespace fdllm
