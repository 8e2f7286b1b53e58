#include "engine/seed_use.h"

namespace fdllm {

bool depends_on_seed(const GenerateOptions& resolved) {
  const bool draws_tokens = resolved.temperature > 0;
  const bool draws_positions =
      resolved.alg_temp > 0 || resolved.remasking == Remasking::kRandom || resolved.alg == "origin";
  return draws_tokens || draws_positions;
}

}  // namespace fdllm
