#include "eval/statistics.h"

#include <algorithm>
#include <cmath>

namespace fdllm::eval {
namespace {

constexpr double kZ = 1.959963984540054;  // of a two-sided 95 %

}  // namespace

Interval wilson_interval(std::int64_t correct, std::int64_t total) {
  if (total <= 0) return {0, 1};
  const auto n = static_cast<double>(total);
  const double p = static_cast<double>(correct) / n;
  const double scale = 1 + kZ * kZ / n;
  const double centre = p + kZ * kZ / (2 * n);
  const double half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n));
  // The ends at 0 and n are exactly 0 and 1, which rounding would miss.
  return {correct == 0 ? 0.0 : std::max(0.0, (centre - half) / scale),
          correct == total ? 1.0 : std::min(1.0, (centre + half) / scale)};
}

double PairedComparison::difference() const {
  if (items == 0) return 0;
  return static_cast<double>(only_second - only_first) / static_cast<double>(items);
}

Interval PairedComparison::interval() const {
  const double n = static_cast<double>(items) + 2;
  const double gained = (static_cast<double>(only_second) + 1) / n;
  const double lost = (static_cast<double>(only_first) + 1) / n;
  const double centre = gained - lost;
  const double half = kZ * std::sqrt((gained + lost - centre * centre) / n);
  return {std::max(-1.0, centre - half), std::min(1.0, centre + half)};
}

double PairedComparison::p_value() const {
  const std::int64_t n = only_first + only_second;
  const std::int64_t fewer = std::min(only_first, only_second);
  if (2 * fewer == n) return 1;
  const double log_half = std::log(0.5);
  double sum = 0;
  for (std::int64_t k = 0; k <= fewer; ++k) {
    const auto x = static_cast<double>(k);
    const auto all = static_cast<double>(n);
    sum += std::exp(std::lgamma(all + 1) - std::lgamma(x + 1) - std::lgamma(all - x + 1) +
                    all * log_half);
  }
  return std::min(1.0, 2 * sum);
}

}  // namespace fdllm::eval
