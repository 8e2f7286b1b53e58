#pragma once
#include <cstdint>

namespace fdllm {

/// LLaDA's fixed quota: `masked` positions spread over `steps` steps as evenly as integers allow,
/// the remainder going to the first steps (32 over 5: 7, 7, 6, 6, 6). What step `index` commits;
/// 0 from `steps` on. Source: get_num_transfer_tokens of the LLaDA reference.
std::int32_t equal_share(std::int32_t masked, std::int32_t index, std::int32_t steps);

/// Dream's time of step `index` in [0, steps]: from 1 down to 0.001, equally spaced, in float32
/// arithmetic from both ends towards the middle (as torch.linspace computes it), because quotas are
/// truncated products of these numbers.
float dream_time(std::int32_t index, std::int32_t steps);

/// The share 1 - s/t of the masked positions that Dream commits in step `index` of `steps`; 1 in
/// the last step and after it.
float dream_share(std::int32_t index, std::int32_t steps);

/// Dream's quota: `masked` (still masked now) times dream_share in float32, truncated. It may be 0
/// in the first steps: 256 steps over 256 positions begin 0, 1, 1 and end with 2.
std::int32_t dream_quota(std::int32_t masked, std::int32_t index, std::int32_t steps);

/// What uncached Dream's confidence_threshold may commit in step `index` of `steps`: an equal share
/// a step (rounded down over all steps so far, so it may be 0), plus what earlier steps left
/// unused; after the last step all that is left. `initial` is the number of masked positions before
/// step 0, `masked` that of now.
std::int32_t carried_budget(std::int32_t initial, std::int32_t masked, std::int32_t index,
                            std::int32_t steps);

}  // namespace fdllm
