#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "bench/similarity.h"

namespace fdllm::bench {

/// The shape of what is compared: `layers` layers of K and V rows of `width` numbers.
struct KvDimensions {
  std::int64_t layers = 0, width = 0;
};

/// The index-th of `positions` rows of a layer's K (kind 0) or V (1).
struct RowPlace {
  std::size_t positions;
  std::int64_t layer;
  int kind;
  std::size_t index;
};
std::span<const float> row_of(const KvRows& rows, const KvDimensions& dimensions,
                              const RowPlace& place);

/// Sums up, over prompts, how the rows of each region change from step to step.
class RegionComparison {
 public:
  explicit RegionComparison(KvDimensions dimensions) : dimensions_(dimensions) {}

  /// The rows after a forward of `block`, whose positions are [range). A step of 0 begins a prompt.
  void add(const SampledRows& sampled, std::int32_t block, Range range, KvRows rows);
  std::vector<RegionSimilarity> result() const;

 private:
  using Key = std::tuple<std::int32_t, Region, std::int64_t>;  ///< step, region, layer

  KvDimensions dimensions_;
  KvRows previous_, refresh_;
  std::int32_t refresh_block_ = -1;
  std::map<Key, RegionSimilarity> sums_;  ///< means still as sums
};

/// Keeps rows of a few steps, never more than `capacity` of them: when there are more, every second
/// one is dropped and from then on only every second is taken, so that they stay evenly spaced.
class StepStore {
 public:
  explicit StepStore(std::int32_t capacity) : capacity_(capacity) {}

  bool wants(std::int32_t step) const { return step % stride_ == 0; }
  void add(KvRows rows);
  std::span<const KvRows> kept() const { return kept_; }

 private:
  std::int32_t capacity_;
  std::int32_t stride_ = 1;
  std::vector<KvRows> kept_;
};

/// Adds the similarity of any two kept steps to `map`, mean over all rows and layers; `prompts`:
/// how many prompts will be added in all.
void add_step_similarity(std::span<const KvRows> kept, const KvDimensions& dimensions,
                         std::size_t positions, std::size_t prompts, StepSimilarity& map);

}  // namespace fdllm::bench
