#include "engine/forward_cost.h"

#include <algorithm>

namespace fdllm {
namespace {

/// A core without vector instructions does about as many in a second.
constexpr double kSlowMachine = 2e9;
constexpr double kAttentionFactor = 2;

}  // namespace

ForwardCost::ForwardCost(const ModelConfig& config)
    : layers_(static_cast<std::int32_t>(config.layers)), seconds_per_work_(1 / kSlowMachine) {
  const auto hidden = static_cast<double>(config.hidden);
  const auto query = static_cast<double>(config.heads * config.head_dim);
  const auto qkv = query + 2 * static_cast<double>(config.kv_heads * config.head_dim);
  stored_row_work_ = hidden * qkv;
  row_work_ = stored_row_work_ + query * hidden + 3 * hidden * static_cast<double>(config.ffn);
  pair_work_ = kAttentionFactor * 2 * query;
  head_row_work_ = hidden * static_cast<double>(config.vocab);
}

double ForwardCost::work(const ForwardSize& size, Range layers) const {
  const bool has_last = layers.end == layers_;
  const double whole = static_cast<double>(layers.size()) - (has_last ? 1 : 0);
  double work = whole * (static_cast<double>(size.rows) * row_work_ +
                         static_cast<double>(size.pairs) * pair_work_);
  if (has_last) {
    const auto scored = static_cast<double>(size.scored_rows);
    work += static_cast<double>(size.rows) * stored_row_work_ +
            scored * (row_work_ - stored_row_work_ + head_row_work_) +
            static_cast<double>(size.scored_pairs) * pair_work_;
  }
  return work;
}

double ForwardCost::seconds(const ForwardSize& size, Range layers) const {
  return work(size, layers) * seconds_per_work_;
}

std::int32_t ForwardCost::layers_within(const ForwardSize& size, std::int32_t first,
                                        double seconds) const {
  std::int32_t end = first + 1;
  while (end < layers_ && this->seconds(size, {first, end + 1}) <= seconds) ++end;
  return end - first;
}

void ForwardCost::observe(const ForwardSize& size, Range layers, double seconds) {
  const bool only_last = layers.size() == 1 && layers.end == layers_ && layers_ > 1;
  const double done = work(size, layers);
  if (only_last || !(done > 0) || !(seconds > 0)) return;
  samples_[count_++ % kSamples] = seconds / done;
  std::array<double, kSamples> sorted = samples_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(count_, kSamples));
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  seconds_per_work_ = *middle;
}

}  // namespace fdllm
