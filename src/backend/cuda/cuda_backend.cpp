#include "backend/cuda/cuda_backend.h"

#include "base/check.h"

namespace fdllm {

std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& /*options*/) {
  fail(ErrorCode::kUnsupported,
       "device: 'cuda' is not part of this build, which has no GPU kernels; use the device 'cpu'");
}

}  // namespace fdllm
