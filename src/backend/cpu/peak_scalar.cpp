// What the portable kernels could reach: loops that the compiler vectorises as it does theirs.
#include "backend/cpu/peak_loops.h"

namespace fdllm::cpu {
namespace {

constexpr int kLanes = 48;

float run_f32(std::int64_t iterations, float seed) {
  float sums[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) sums[lane] = static_cast<float>(lane);
  for (std::int64_t i = 0; i < iterations; ++i) {
    for (float& sum : sums) sum = sum * seed + seed;
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

float run_int8(std::int64_t iterations, float seed) {
  std::int32_t sums[kLanes] = {};
  const auto factor = static_cast<std::int8_t>(seed * 100);
  for (std::int64_t i = 0; i < iterations; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += factor * static_cast<std::int8_t>(i + lane);
    }
  }
  float total = 0;
  for (const std::int32_t sum : sums) total += static_cast<float>(sum);
  return total;
}

constexpr PeakLoop kF32 = {2.0 * kLanes, run_f32};
constexpr PeakLoops kLoops = {.f32 = kF32, .bf16 = kF32, .int8 = {2.0 * kLanes, run_int8}};

}  // namespace

const PeakLoops& scalar_peak_loops() {
  return kLoops;
}

}  // namespace fdllm::cpu
