#include "bench/host.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string_view>

namespace fdllm::bench {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(20);

/// What follows "key" and a colon in a line of a file of such lines; "" where there is none.
std::string value_in(const char* file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(": \t", key.size());
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

std::string cpu_name() {
  const std::string name = value_in("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::uint64_t anonymous_memory() {
  const std::string kilobytes = value_in("/proc/self/status", "RssAnon");
  return std::strtoull(kilobytes.c_str(), nullptr, 10) * 1024;
}

MemoryWatch::MemoryWatch() {
  look();
  thread_ = std::thread([this] {
    while (!ending_.load()) {
      look();
      std::this_thread::sleep_for(kInterval);
    }
  });
}

MemoryWatch::~MemoryWatch() {
  ending_.store(true);
  thread_.join();
}

std::uint64_t MemoryWatch::peak() {
  look();
  return peak_.load();
}

void MemoryWatch::look() {
  const std::uint64_t now = anonymous_memory();
  std::uint64_t peak = peak_.load();
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
  }
}

}  // namespace fdllm::bench
