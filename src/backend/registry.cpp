#include <array>
#include <string>
#include <string_view>

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/peak.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_backend.h"
#include "backend/peak.h"
#include "base/check.h"

namespace fdllm {
namespace {

struct Entry {
  std::string_view device;
  std::unique_ptr<Backend> (*make)(const BackendOptions& options);
  MachinePeaks (*measure_peaks)(const BackendOptions& options);
};

constexpr std::array kBackends = {
    Entry{"cpu", make_cpu_backend, measure_cpu_peaks},
    Entry{"cuda", make_cuda_backend, measure_cuda_peaks},
#if defined(FDLLM_CUDA_EMULATION)  // in tests only: the GPU's kernels on the host
    Entry{"cuda-emulated", cuda::make_device_backend, measure_cuda_peaks},
#endif
};

const Entry& find_entry(const std::string& device) {
  std::string known;
  for (const Entry& entry : kBackends) {
    if (entry.device == device) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.device);
  }
  fail(ErrorCode::kInvalidArgument, "device: expected one of {}, found '{}'", known, device);
}

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendOptions& options) {
  return find_entry(options.device).make(options);
}

MachinePeaks measure_peaks(const BackendOptions& options) {
  return find_entry(options.device).measure_peaks(options);
}

}  // namespace fdllm
