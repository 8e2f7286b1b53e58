#include <array>
#include <string>
#include <string_view>

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cuda/cuda_backend.h"
#include "base/check.h"

namespace fdllm {
namespace {

struct Entry {
  std::string_view device;
  std::unique_ptr<Backend> (*make)(const BackendOptions& options);
};

constexpr std::array kBackends = {
    Entry{"cpu", make_cpu_backend},
    Entry{"cuda", make_cuda_backend},
};

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendOptions& options) {
  std::string known;
  for (const Entry& entry : kBackends) {
    if (entry.device == options.device) return entry.make(options);
    known += (known.empty() ? "" : ", ") + std::string(entry.device);
  }
  fail(ErrorCode::kInvalidArgument, "device: expected one of {}, found '{}'", known,
       options.device);
}

}  // namespace fdllm
