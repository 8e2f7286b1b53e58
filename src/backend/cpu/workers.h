#pragma once
#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/thread_pool.h"

namespace fdllm::cpu {

/// What an operation computes with.
struct Workers {
  ThreadPool& pool;
  const KernelTable& kernels;
  ComputeType type;
};

}  // namespace fdllm::cpu
