#include "decode/schedule.h"

#include <algorithm>

namespace fdllm {

std::int32_t equal_share(std::int32_t masked, std::int32_t index, std::int32_t steps) {
  if (index >= steps) return 0;
  return masked / steps + (index < masked % steps ? 1 : 0);
}

float dream_time(std::int32_t index, std::int32_t steps) {
  constexpr float kStart = 1.0f;
  constexpr float kEnd = 1e-3f;
  const std::int32_t points = steps + 1;
  const float spacing = (kEnd - kStart) / static_cast<float>(steps);
  if (index < points / 2) return kStart + spacing * static_cast<float>(index);
  return kEnd - spacing * static_cast<float>(steps - index);
}

float dream_share(std::int32_t index, std::int32_t steps) {
  if (index >= steps - 1) return 1.0f;
  return 1.0f - dream_time(index + 1, steps) / dream_time(index, steps);
}

std::int32_t dream_quota(std::int32_t masked, std::int32_t index, std::int32_t steps) {
  if (index >= steps - 1) return masked;
  return static_cast<std::int32_t>(static_cast<float>(masked) * dream_share(index, steps));
}

std::int32_t carried_budget(std::int32_t initial, std::int32_t masked, std::int32_t index,
                            std::int32_t steps) {
  if (index >= steps - 1) return masked;
  const std::int64_t granted = std::int64_t{initial} * (index + 1) / steps;
  const std::int64_t committed = initial - masked;
  return static_cast<std::int32_t>(std::min<std::int64_t>(masked, granted - committed));
}

}  // namespace fdllm
