#include "backend/cpu/isa.h"

#include <string_view>

#include "base/check.h"
#include "base/cpu_features.h"

namespace fdllm::cpu {
namespace {

struct Isa {
  std::string_view name;
  const KernelTable& (*kernels)();  ///< nullptr: not in this build
  const PeakLoops& (*peak_loops)();
  bool supported;
  std::string_view needs;
};

/// Best first.
std::vector<Isa> isas() {
  const CpuFeatures features = detect_cpu_features();
#if !defined(FDLLM_X86_KERNELS)
  constexpr const KernelTable& (*avx2_kernels)() = nullptr;
  constexpr const KernelTable& (*avx512vnni_kernels)() = nullptr;
  constexpr const KernelTable& (*avx512bf16_kernels)() = nullptr;
  constexpr const PeakLoops& (*avx2_peak_loops)() = nullptr;
  constexpr const PeakLoops& (*avx512vnni_peak_loops)() = nullptr;
  constexpr const PeakLoops& (*avx512bf16_peak_loops)() = nullptr;
#endif
  return {
      {"avx512bf16", avx512bf16_kernels, avx512bf16_peak_loops, features.avx512bf16,
       "AVX-512 F, BW, DQ, VL, VNNI and BF16"},
      {"avx512vnni", avx512vnni_kernels, avx512vnni_peak_loops, features.avx512vnni,
       "AVX-512 F, BW, DQ, VL and VNNI"},
      {"avx2", avx2_kernels, avx2_peak_loops, features.avx2, "AVX2, FMA and F16C"},
      {"scalar", scalar_kernels, scalar_peak_loops, true, "nothing"},
  };
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool usable(const Isa& isa) {
  return isa.kernels != nullptr && isa.supported;
}

std::vector<std::string> usable_names() {
  std::vector<std::string> names;
  for (const Isa& isa : isas()) {
    if (usable(isa)) names.emplace_back(isa.name);
  }
  return names;
}

Isa select(const std::string& name) {
  for (const Isa& isa : isas()) {
    if (name != isa.name && name != "auto") continue;
    if (usable(isa)) return isa;
    if (name == "auto") continue;
    fail(ErrorCode::kUnsupported,
         "isa: '{}' needs {}, which this {} lacks; available here: auto, {}", name, isa.needs,
         isa.kernels == nullptr ? "build" : "machine", joined(usable_names()));
  }
  fail(ErrorCode::kInvalidArgument,
       "isa: expected one of auto, scalar, avx2, avx512vnni, avx512bf16, found '{}'", name);
}

}  // namespace

std::vector<std::string> available_isas() {
  return usable_names();
}

const KernelTable& select_kernels(const std::string& name) {
  return select(name).kernels();
}

const PeakLoops& select_peak_loops(const std::string& name) {
  return select(name).peak_loops();
}

}  // namespace fdllm::cpu
