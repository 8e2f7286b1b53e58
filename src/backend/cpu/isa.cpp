#include "backend/cpu/isa.h"

#include <string_view>

#include "base/check.h"
#include "base/cpu_features.h"

namespace fdllm::cpu {
namespace {

struct Isa {
  std::string_view name;
  const KernelTable& (*kernels)();  ///< nullptr: not in this build
  bool supported;
  std::string_view needs;
};

/// Best first.
std::vector<Isa> isas() {
  const CpuFeatures features = detect_cpu_features();
#if defined(FDLLM_X86_KERNELS)
  const auto avx2 = avx2_kernels;
  const auto avx512vnni = avx512vnni_kernels;
  const auto avx512bf16 = avx512bf16_kernels;
#else
  const KernelTable& (*avx2)() = nullptr;
  const auto avx512vnni = avx2;
  const auto avx512bf16 = avx2;
#endif
  return {
      {"avx512bf16", avx512bf16, features.avx512bf16, "AVX-512 F, BW, DQ, VL, VNNI and BF16"},
      {"avx512vnni", avx512vnni, features.avx512vnni, "AVX-512 F, BW, DQ, VL and VNNI"},
      {"avx2", avx2, features.avx2, "AVX2, FMA and F16C"},
      {"scalar", scalar_kernels, true, "nothing"},
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

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : isas()) {
    if (usable(isa)) names.emplace_back(isa.name);
  }
  return names;
}

const KernelTable& select_kernels(const std::string& name) {
  for (const Isa& isa : isas()) {
    if (name != isa.name && name != "auto") continue;
    if (usable(isa)) return isa.kernels();
    if (name == "auto") continue;
    fail(ErrorCode::kUnsupported,
         "isa: '{}' needs {}, which this {} lacks; available here: auto, {}", name, isa.needs,
         isa.kernels == nullptr ? "build" : "machine", joined(available_isas()));
  }
  fail(ErrorCode::kInvalidArgument,
       "isa: expected one of auto, scalar, avx2, avx512vnni, avx512bf16, found '{}'", name);
}

}  // namespace fdllm::cpu
