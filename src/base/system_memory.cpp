#include "base/system_memory.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

namespace fdllm {
namespace {

/// The number in the file's first line, or 0 ("max", no such file).
std::uint64_t number_in(const char* file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  return in >> value ? value : 0;
}

std::uint64_t system_available() {
  std::ifstream in("/proc/meminfo");
  std::string key;
  std::uint64_t kilobytes = 0;
  std::string unit;
  while (in >> key >> kilobytes) {
    std::getline(in, unit);
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

std::uint64_t available_memory() {
  std::uint64_t available = system_available();
  const std::uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  if (limit != 0) {
    const std::uint64_t used = number_in("/sys/fs/cgroup/memory.current");
    const std::uint64_t left = limit > used ? limit - used : 0;
    available = available == 0 ? left : std::min(available, left);
  }
  return available;
}

std::string bytes_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", bytes);
}

}  // namespace fdllm
