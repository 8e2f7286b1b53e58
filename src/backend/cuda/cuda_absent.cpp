#include "backend/cuda/cuda_backend.h"
#include "base/check.h"

namespace fdllm {
namespace {

[[noreturn]] void fail_without_kernels() {
  fail(ErrorCode::kUnsupported,
       "device: 'cuda' is not part of this build, which has no GPU kernels (FASTDLLM_CUDA); use "
       "the device 'cpu'");
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& /*options*/) {
  fail_without_kernels();
}

MachinePeaks measure_cuda_peaks(const BackendOptions& /*options*/) {
  fail_without_kernels();
}

}  // namespace fdllm
