#include "backend/cpu/thread_count.h"

#include <algorithm>

#include "base/check.h"
#include "base/cpu_features.h"

namespace fdllm::cpu {
namespace {

constexpr int kMaxThreads = 1024;

}  // namespace

int thread_count(int requested) {
  if (requested < 0 || requested > kMaxThreads) {
    fail(ErrorCode::kInvalidArgument,
         "threads: expected 1 to {}, or 0 for one per physical core, found {}", kMaxThreads,
         requested);
  }
  return requested == 0 ? std::min(physical_cores(), kMaxThreads) : requested;
}

}  // namespace fdllm::cpu
