#pragma once
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/workers.h"

namespace fdllm::cpu {

/// Rotates q in place, and stores rotated k, and v, in the slabs (Backend::rope_store).
void run_rope_store(const Workers& workers, float* qkv, const float* cos, const float* sin,
                    const LayerRows& of);

/// Attention over the slabs (Backend::attention), with an online softmax over blocks of keys that
/// lie at fixed places of the slab, so that a row's result depends on nothing but its own inputs.
class Attention {
 public:
  void run(const Workers& workers, const float* qkv, const LayerRows& of, float* out);

 private:
  std::vector<HostMemory> scratch_;  ///< of each thread
};

}  // namespace fdllm::cpu
