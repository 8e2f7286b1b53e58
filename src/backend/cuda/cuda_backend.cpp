#include "backend/cuda/cuda_backend.h"

#include "backend/cuda/device_backend.h"
#include "base/check.h"

namespace fdllm {

std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& options) {
  return cuda::make_device_backend(options);
}

MachinePeaks measure_cuda_peaks(const BackendOptions& /*options*/) {
  fail(ErrorCode::kUnsupported, "device: the peaks of 'cuda' are not measured; use 'cpu'");
}

}  // namespace fdllm
