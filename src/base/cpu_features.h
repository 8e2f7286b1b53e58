#pragma once

namespace fdllm {

/// Instruction sets that both the processor and the operating system support.
struct CpuFeatures {
  bool avx2 = false;        ///< AVX2, FMA and F16C
  bool avx512vnni = false;  ///< AVX-512 F, BW, DQ, VL and VNNI
  bool avx512bf16 = false;  ///< avx512vnni and AVX512_BF16
};

CpuFeatures detect_cpu_features();

/// Physical cores that this process may run on (its affinity mask and its cgroup's CPU quota are
/// respected), at least 1. Two hardware threads of a core share its arithmetic units, so they count
/// once.
int physical_cores();

}  // namespace fdllm
