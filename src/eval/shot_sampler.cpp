#include "eval/shot_sampler.h"

#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include "base/check.h"

namespace fdllm::eval {
namespace {

/// MT19937 after init_by_array({seed}) of Matsumoto and Nishimura's mt19937ar.c, which is how
/// Python seeds from a number; the standard library has only their init_genrand.
std::mt19937 seeded_by_array(std::uint32_t seed) {
  constexpr std::size_t kWords = std::mt19937::state_size;
  std::array<std::uint32_t, kWords> state{};
  state[0] = 19650218U;
  for (std::size_t i = 1; i < kWords; ++i) {
    state[i] = 1812433253U * (state[i - 1] ^ (state[i - 1] >> 30)) + static_cast<std::uint32_t>(i);
  }
  std::size_t i = 1;
  const auto advance = [&] {
    if (++i >= kWords) {
      state[0] = state[kWords - 1];
      i = 1;
    }
  };
  for (std::size_t k = 0; k < kWords; ++k) {
    state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * 1664525U)) + seed;
    advance();
  }
  for (std::size_t k = 0; k + 1 < kWords; ++k) {
    state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * 1566083941U)) -
               static_cast<std::uint32_t>(i);
    advance();
  }
  state[0] = 0x80000000U;
  std::stringstream text;
  for (const std::uint32_t word : state) text << word << ' ';
  text << kWords;  // the position that libstdc++ writes last: all words are used up
  std::mt19937 generator;
  text >> generator;
  check(!text.fail(), "the state of a random generator");
  return generator;
}

}  // namespace

ShotSampler::ShotSampler(std::uint32_t seed) : generator_(seeded_by_array(seed)) {}

std::size_t ShotSampler::below(std::size_t bound) {
  const auto bits = static_cast<unsigned>(std::bit_width(bound));
  for (;;) {
    const std::size_t drawn = static_cast<std::uint32_t>(generator_()) >> (32 - bits);
    if (drawn < bound) return drawn;
  }
}

std::vector<std::size_t> ShotSampler::sample(std::size_t population, std::size_t count) {
  check(count <= population && population < (std::size_t{1} << 31), "shots to draw");
  std::vector<std::size_t> drawn;
  // Python keeps a list of what is left where that is small beside a set of what was drawn.
  double set_size = 21;
  if (count > 5) {
    set_size += std::pow(4, std::ceil(std::log(static_cast<double>(count) * 3) / std::log(4.0)));
  }
  if (static_cast<double>(population) <= set_size) {
    std::vector<std::size_t> left(population);
    std::iota(left.begin(), left.end(), std::size_t{0});
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t index = below(population - i);
      drawn.push_back(left[index]);
      left[index] = left[population - i - 1];
    }
    return drawn;
  }
  std::set<std::size_t> seen;
  while (drawn.size() < count) {
    const std::size_t index = below(population);
    if (seen.insert(index).second) drawn.push_back(index);
  }
  return drawn;
}

}  // namespace fdllm::eval
