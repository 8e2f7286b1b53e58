// Loops that do nothing but multiply-adds on registers, one set for each instruction set. Like
// kernels.h plain data only: the files that define them are compiled for instruction sets that the
// running machine may lack.
#pragma once
#include <cstdint>

namespace fdllm::cpu {

struct PeakLoop {
  double operations;  ///< of one iteration; a multiply-add is two
  /// The result must be used, so that no compiler leaves the work out.
  float (*run)(std::int64_t iterations, float seed);
};

/// Dot products of bf16 values count as f32 where an instruction set has none; int8 ones are signed
/// times unsigned, summed in int32.
struct PeakLoops {
  PeakLoop f32, bf16, int8;
};

const PeakLoops& scalar_peak_loops();
#if defined(FDLLM_X86_KERNELS)
const PeakLoops& avx2_peak_loops();
const PeakLoops& avx512vnni_peak_loops();
const PeakLoops& avx512bf16_peak_loops();
#endif

}  // namespace fdllm::cpu
