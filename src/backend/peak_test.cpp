#include "backend/peak.h"

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "backend/cpu/isa.h"

namespace fdllm {
namespace {

// Any machine that runs this does between a tenth of a billion and a thousand billion of anything
// on a core.
constexpr double kLeast = 1e8;
constexpr double kMost = 1e13;

TEST(Peaks, AreMeasuredForEveryInstructionSet) {
  for (const std::string& isa : cpu::available_isas()) {
    BackendOptions options;
    options.isa = isa;
    options.threads = 1;
    const MachinePeaks peaks = measure_peaks(options);
    for (const double peak : {peaks.f32, peaks.bf16, peaks.int8, peaks.read_bandwidth}) {
      EXPECT_GT(peak, kLeast) << isa;
      EXPECT_LT(peak, kMost) << isa;
    }
    // Another process may slow one of them down, but not by as much as dot instructions gain.
    if (isa == "avx512bf16") {
      EXPECT_GT(peaks.bf16, 1.1 * peaks.f32);
    }
    if (isa == "avx512vnni") {
      EXPECT_EQ(peaks.bf16, peaks.f32);
      EXPECT_GT(peaks.int8, 1.1 * peaks.f32);
    }
  }
}

TEST(Peaks, RefuseWhatABackEndRefuses) {
  BackendOptions options;
  options.isa = "sse9";
  EXPECT_THROW(measure_peaks(options), Error);
  options.isa = "auto";
  options.device = "cuda";
  EXPECT_THROW(measure_peaks(options), Error);
  options.device = "abacus";
  EXPECT_THROW(measure_peaks(options), Error);
  options.device = "cpu";
  options.threads = -1;
  EXPECT_THROW(measure_peaks(options), Error);
}

}  // namespace
}  // namespace fdllm
