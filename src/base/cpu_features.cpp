#include "base/cpu_features.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/control_group.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace fdllm {
namespace {

#if defined(__x86_64__)
/// Register states that the operating system saves on a context switch (XCR0).
std::uint64_t enabled_register_states() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

bool bit(std::uint32_t word, int index) {
  return (word >> index & 1u) != 0;
}
#endif

}  // namespace

CpuFeatures detect_cpu_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return features;
  const bool os_saves_registers = bit(ecx, 27);
  const bool avx = bit(ecx, 28) && bit(ecx, 12) && bit(ecx, 29);  // AVX, FMA, F16C
  if (!os_saves_registers || !avx) return features;
  const std::uint64_t states = enabled_register_states();
  if ((states & 0x6) != 0x6) return features;  // XMM and YMM
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return features;
  features.avx2 = bit(ebx, 5);
  const bool avx512 = bit(ebx, 16) && bit(ebx, 17) && bit(ebx, 30) && bit(ebx, 31);  // F DQ BW VL
  const bool vnni = bit(ecx, 11);
  const bool zmm_saved = (states & 0xe6) == 0xe6;  // and opmask, upper ZMM, ZMM16-31
  features.avx512vnni = features.avx2 && avx512 && vnni && zmm_saved;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) == 0) return features;
  features.avx512bf16 = features.avx512vnni && bit(eax, 5);
#endif
  return features;
}

int physical_cores() {
  int logical = static_cast<int>(std::thread::hardware_concurrency());
  int cores = logical;
#if defined(__linux__)
  cpu_set_t mask;
  CPU_ZERO(&mask);
  // Fails where the machine has more CPUs than cpu_set_t holds; then all logical ones count.
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) {
    std::set<std::pair<int, int>> distinct;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &mask)) continue;
      const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
      int package = 0;
      int core = 0;
      std::ifstream package_file(folder + "physical_package_id");
      std::ifstream core_file(folder + "core_id");
      if (!(package_file >> package) || !(core_file >> core)) {
        package = -1;  // unknown topology: every CPU is a core of its own
        core = cpu;
      }
      distinct.emplace(package, core);
    }
    cores = static_cast<int>(distinct.size());
  }
#endif
  if (const std::optional<double> quota = control_group_cpus()) {
    cores = std::min(cores, static_cast<int>(std::ceil(std::min(*quota, 1e6))));
  }
  return std::max(cores, 1);
}

}  // namespace fdllm
