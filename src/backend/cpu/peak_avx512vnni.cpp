#include "backend/cpu/peak_avx512.h"

namespace fdllm::cpu {
namespace {

constexpr PeakLoops kLoops = {.f32 = kF32, .bf16 = kF32, .int8 = kInt8};

}  // namespace

const PeakLoops& avx512vnni_peak_loops() {
  return kLoops;
}

}  // namespace fdllm::cpu
