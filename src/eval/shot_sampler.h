#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace fdllm::eval {

/// Draws the shots that lm-eval 0.4 draws: Python's random.Random(seed).sample(range(population),
/// count), once for each item, from one generator for all items of a task.
class ShotSampler {
 public:
  explicit ShotSampler(std::uint32_t seed);

  /// Distinct indices below `population`, in the order drawn. count must be at most population.
  std::vector<std::size_t> sample(std::size_t population, std::size_t count);

 private:
  std::size_t below(std::size_t bound);

  std::mt19937 generator_;
};

}  // namespace fdllm::eval
