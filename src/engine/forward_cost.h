#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/range.h"
#include "model/config.h"

namespace fdllm {

/// How large a forward is.
struct ForwardSize {
  std::int64_t rows = 0;          ///< of the batch
  std::int64_t pairs = 0;         ///< sum over them of the K/V rows that each attends
  std::int64_t scored_rows = 0;   ///< the only ones that go all the way through the last layer
  std::int64_t scored_pairs = 0;  ///< sum over them of the K/V rows that each attends
};

/// Tells how long layers of a forward will take by how long others took. The work is counted in
/// multiply-adds, so that forwards of different lengths and layers compare; the speed is the median
/// of the last ones, so that one that was disturbed, or found all in the cache, changes nothing.
/// Before any was seen it takes the machine for slow: then a first long forward pauses too often
/// rather than not at all.
class ForwardCost {
 public:
  explicit ForwardCost(const ModelConfig& config);

  /// Multiply-adds of `layers`, with the head where the last one is among them. Those of attention
  /// count twice: its kernels are about half as fast.
  double work(const ForwardSize& size, Range layers) const;
  double seconds(const ForwardSize& size, Range layers) const;
  /// How many layers from `first` on take no longer than `seconds`; at least 1.
  std::int32_t layers_within(const ForwardSize& size, std::int32_t first, double seconds) const;

  /// What `layers` took. The last layer by itself is left out: it is mostly the head, for few rows.
  void observe(const ForwardSize& size, Range layers, double seconds);

 private:
  static constexpr std::size_t kSamples = 9;

  std::int32_t layers_;
  double row_work_;         ///< multiply-adds of a row in a layer, without attention
  double stored_row_work_;  ///< of a row of which only K and V are wanted
  double pair_work_;        ///< of a row that attends another
  double head_row_work_;
  std::array<double, kSamples> samples_{};  ///< seconds for a multiply-add; the oldest is replaced
  std::size_t count_ = 0;                   ///< of all samples that were ever taken
  double seconds_per_work_;
};

}  // namespace fdllm
