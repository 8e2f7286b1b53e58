#include "backend/cpu/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include <unistd.h>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/peak_loops.h"
#include "backend/cpu/thread_count.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"

namespace fdllm {
namespace {

using cpu::PeakLoop;

/// One measurement; the best of kRuns counts, since others can only disturb it.
constexpr double kRunSeconds = 0.02;
constexpr int kRuns = 7;
constexpr std::uint64_t kLeastBuffer = std::uint64_t{256} << 20;
constexpr std::uint64_t kCachesInBuffer = 8;
/// Shares of the buffer that threads take one after another.
constexpr std::int64_t kShares = 256;
constexpr std::size_t kLine = 64;
constexpr std::size_t kSmallPage = 4096;
constexpr std::size_t kPrefetchDistance = 4096;

/// Seconds that function(), the best of `runs`, takes.
template <typename Function>
double best_time(int runs, Function&& function) {
  double best = 1e300;
  for (int i = 0; i < runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    function();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return std::max(best, 1e-9);
}

/// Keeps results alive.
class Sink {
 public:
  void add(float value) noexcept { sum_.fetch_add(value != 0, std::memory_order_relaxed); }

 private:
  std::atomic<int> sum_{0};
};

double operations_per_second(ThreadPool& pool, const PeakLoop& loop, Sink& sink) {
  // The loops work on numbers that stay small, and are no constants to the compiler.
  volatile float seed = 0.01f;
  std::int64_t iterations = 1000;
  const auto run = [&] {
    pool.run(pool.size(), pool.size(),
             [&](std::int64_t, int) noexcept { sink.add(loop.run(iterations, seed)); });
  };
  while (best_time(1, run) < kRunSeconds) iterations *= 2;
  const double seconds = best_time(kRuns, run);
  return static_cast<double>(iterations) * loop.operations * pool.size() / seconds;
}

std::uint64_t sum_of(const std::byte* data, std::size_t bytes) noexcept {
  constexpr std::size_t kWords = kLine / sizeof(std::uint64_t);
  std::uint64_t sums[kWords] = {};
  for (std::size_t i = 0; i + kLine <= bytes; i += kLine) {
    __builtin_prefetch(data + i + kPrefetchDistance);
    std::uint64_t words[kWords];
    std::memcpy(words, data + i, kLine);
    for (std::size_t word = 0; word < kWords; ++word) sums[word] += words[word];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) sum += part;
  return sum;
}

/// Bytes that no cache holds; less where the machine has little memory left.
std::size_t buffer_bytes() {
  std::uint64_t bytes = kLeastBuffer;
#if defined(_SC_LEVEL3_CACHE_SIZE)
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (cache > 0) bytes = std::max(bytes, kCachesInBuffer * static_cast<std::uint64_t>(cache));
#endif
  if (const auto available = available_memory()) bytes = std::min(bytes, *available / 4);
  return bytes / (kLine * kShares) * (kLine * kShares);
}

double read_bandwidth(ThreadPool& pool, Sink& sink) {
  const std::size_t bytes = buffer_bytes();
  const cpu::HostMemory buffer(bytes, "buffer to read");
  const std::size_t share = bytes / kShares;
  pool.run(pool.size(), kShares, [&](std::int64_t item, int) noexcept {
    // A page that was never written is backed by no memory of its own.
    for (std::size_t i = 0; i < share; i += kSmallPage) buffer.data()[item * share + i] = {};
  });
  const double seconds = best_time(kRuns, [&] {
    pool.run(pool.size(), kShares, [&](std::int64_t item, int) noexcept {
      sink.add(static_cast<float>(sum_of(buffer.data() + item * share, share)));
    });
  });
  return static_cast<double>(bytes) / seconds;
}

}  // namespace

MachinePeaks measure_cpu_peaks(const BackendOptions& options) {
  const cpu::PeakLoops& loops = cpu::select_peak_loops(options.isa);
  ThreadPool pool(cpu::thread_count(options.threads));
  Sink sink;
  MachinePeaks peaks;
  peaks.isa = cpu::select_kernels(options.isa).name;
  peaks.f32 = operations_per_second(pool, loops.f32, sink);
  peaks.bf16 =
      loops.bf16.run == loops.f32.run ? peaks.f32 : operations_per_second(pool, loops.bf16, sink);
  peaks.int8 = operations_per_second(pool, loops.int8, sink);
  peaks.read_bandwidth = read_bandwidth(pool, sink);
  return peaks;
}

}  // namespace fdllm
