// The fused head: tiles of logits are reduced to a few numbers for each chunk of the vocabulary,
// and those to a score. A warp takes a chunk, or merges a row, in an order that is always the same.
#include <cmath>

#include "backend/cuda/launch.h"
#include "backend/cuda/pick.cuh"

namespace fdllm::cuda {
namespace {

constexpr unsigned kThreads = 128;
constexpr unsigned kWarps = kThreads / kWarp;
constexpr int kEach = static_cast<int>(kHeadChunk) / kWarp;  ///< logits of a lane

FDLLM_KERNEL(kThreads) reduce(HeadReduceTask task) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t first = (std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp) * kHeadChunk;
  if (first >= task.count || std::int64_t{blockIdx.y} >= *task.rows.count) return;
  const DeviceHeadRow row = task.head_rows[blockIdx.y];
  const float* const logits = task.logits + row.row * task.stride;
  const float* const unconditional = task.logits + row.unconditional * task.stride;
  const float factor = row.cfg_scale + 1.0f;

  float values[kEach];   // what is picked from
  float counted[kEach];  // what has weight
  std::uint32_t pickable = 0;
  float maximum = -INFINITY;
  int finite = 1;
  FDLLM_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t at = first + i * kWarp + lane;
    values[i] = counted[i] = -INFINITY;
    if (at >= task.count) continue;
    float logit = logits[at];
    if (row.unconditional >= 0) logit = unconditional[at] + factor * (logit - unconditional[at]);
    if (!(fabsf(logit) < INFINITY)) finite = 0;
    const TokenRule rule = rule_of(row, task.token_rules, task.first + at);
    values[i] = counted[i] = logit;
    if (rule == TokenRule::kRemoved || rule == TokenRule::kUnsure) counted[i] = kWeightlessLogit;
    if (is_pickable(rule)) pickable |= 1u << i;
    maximum = counted[i] > maximum ? counted[i] : maximum;
  }
  maximum = warp_max(maximum);
  finite = warp_sum(finite) == kWarp ? 1 : 0;

  const float inverse =
      row.temperature > 0 ? static_cast<float>(1.0 / static_cast<double>(row.temperature)) : 1.0f;
  double sum = 0;
  double filtered_sum = 0;
  Pick pick{0, -1, 0};
  FDLLM_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t at = first + i * kWarp + lane;
    if (at >= task.count) continue;
    const float distance = counted[i] - maximum;
    const float weight = expf(distance);
    sum += static_cast<double>(weight);
    filtered_sum += static_cast<double>(inverse == 1.0f ? weight : expf(distance * inverse));
    const auto token = static_cast<std::int32_t>(task.first + at);
    if ((pickable >> i & 1u) != 0 && finite != 0) {
      offer(pick, {value_of(row, values[i], token), token, values[i]});
    }
  }
  sum = warp_sum(sum);
  filtered_sum = warp_sum(filtered_sum);
  offer_to_warp(pick);
  if (lane == 0) {
    task.partials[blockIdx.y * task.chunks + (task.first + first) / kHeadChunk] = {
        maximum, pick.logit, sum, filtered_sum, pick.value, pick.token, finite};
  }
}

FDLLM_KERNEL(kThreads) merge(HeadMergeTask task) {
  const std::int64_t index = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (index >= *task.rows.count) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const HeadPartial* const partials = task.partials + index * task.chunks;
  const double temperature = task.head_rows[index].temperature > 0
                                 ? static_cast<double>(task.head_rows[index].temperature)
                                 : 1.0;
  float maximum = -INFINITY;
  int finite = 1;
  Pick pick{0, -1, 0};
  for (std::int64_t i = lane; i < task.chunks; i += kWarp) {
    maximum = partials[i].maximum > maximum ? partials[i].maximum : maximum;
    finite &= partials[i].finite;
    offer(pick, {partials[i].pick_value, partials[i].pick_token, partials[i].pick_logit});
  }
  maximum = warp_max(maximum);
  finite = warp_sum(finite) == kWarp ? 1 : 0;
  offer_to_warp(pick);
  double sum = 0;
  double filtered_sum = 0;
  for (std::int64_t i = lane; i < task.chunks; i += kWarp) {
    const double distance = static_cast<double>(partials[i].maximum) - static_cast<double>(maximum);
    sum += partials[i].sum * exp(distance);
    filtered_sum += partials[i].filtered_sum * exp(distance / temperature);
  }
  sum = warp_sum(sum);
  filtered_sum = warp_sum(filtered_sum);
  if (lane == 0) {
    const double distance = static_cast<double>(pick.logit) - static_cast<double>(maximum);
    const bool is_unsure =
        rule_of(task.head_rows[index], task.token_rules, pick.token) == TokenRule::kUnsure;
    task.scores[index] = {
        .confidence = is_unsure ? 0.0 : exp(distance) / sum,
        .filtered_confidence = is_unsure ? 0.0 : exp(distance / temperature) / filtered_sum,
        .margin = 0,
        .entropy = 0,
        .token = pick.token,
        .finite = finite};
  }
}

}  // namespace

void run_head_reduce(Stream stream, const HeadReduceTask& task) {
  const std::int64_t chunks = (task.count + kHeadChunk - 1) / kHeadChunk;
  launch(stream, {.x = (chunks + kWarps - 1) / kWarps, .y = task.rows.most, .threads = kThreads},
         reduce, task);
}

void run_head_merge(Stream stream, const HeadMergeTask& task) {
  launch(stream, {.x = (task.rows.most + kWarps - 1) / kWarps, .threads = kThreads}, merge, task);
}

}  // namespace fdllm::cuda
