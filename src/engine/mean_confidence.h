#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "fastdllm/events.h"

namespace fdllm {

/// The mean logarithm of the confidences of the tokens that a request has committed.
class MeanConfidence {
 public:
  void add(const StepEvent& event) {
    for (const TokenEvent& token : event.committed) {
      // A probability may round to 0.
      sum_ += std::log(std::max(token.confidence, std::numeric_limits<double>::min()));
      ++count_;
    }
  }
  /// 0 where there is no token.
  double logarithm() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace fdllm
