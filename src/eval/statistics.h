#pragma once
#include <cstdint>

namespace fdllm::eval {

struct Interval {
  double low = 0;
  double high = 0;
};

/// 95 % interval of a proportion (Wilson 1927), as fractions; {0, 1} where total is 0.
Interval wilson_interval(std::int64_t correct, std::int64_t total);

/// Two runs of the same items.
struct PairedComparison {
  std::int64_t items = 0;
  std::int64_t both = 0, only_first = 0, only_second = 0, neither = 0;

  /// Accuracy of the second less that of the first, as a fraction.
  double difference() const;
  /// 95 % interval of the difference (Bonett and Price 2012: adjusted Wald for paired proportions).
  Interval interval() const;
  /// Two-sided exact McNemar test: how likely so uneven a split of the items on which the two
  /// differ is where neither is better.
  double p_value() const;
};

}  // namespace fdllm::eval
