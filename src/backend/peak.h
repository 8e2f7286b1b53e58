#pragma once
#include <string>

#include "backend/backend.h"

namespace fdllm {

/// What a machine can do at most with one instruction set and so many threads, measured. Operations
/// are those of multiply-adds, two each.
struct MachinePeaks {
  std::string isa;
  double f32 = 0;             ///< operations a second, of fused multiply-adds on registers
  double bf16 = 0;            ///< of bf16 dot products; what f32 gives where there are none
  double int8 = 0;            ///< of int8 dot products with int32 sums
  double read_bandwidth = 0;  ///< bytes a second read from memory, from a buffer no cache holds
};

/// Measures the peaks of options.device with options.isa and options.threads; about a second.
MachinePeaks measure_peaks(const BackendOptions& options);

}  // namespace fdllm
