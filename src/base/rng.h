#pragma once
#include <array>
#include <cstdint>

namespace fdllm {

/// What a random number is for; numbers of different streams are independent.
enum class RandomStream : std::uint32_t {
  kGumbel = 0,      ///< a noise value per (position, step, vocabulary id)
  kConfidence = 1,  ///< 'random' remasking: a confidence per (position, step)
  kSelection = 2,   ///< which positions to commit (Dream's origin and alg_temp)
  kMasking = 3,     ///< which tokens of a text are masked when its loss is measured
};

/// Philox4x32-10 (Salmon et al., 2011): a counter-based generator, so that a number depends only on
/// its key and never on batch, thread or the order in which numbers are asked for.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key,
                                              std::array<std::uint32_t, 4> counter) {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<std::uint32_t>(product0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Uniform in [0, 1) with 53 bits, keyed by the request's seed, the position, the request's own
/// step and an index (the vocabulary id for Gumbel noise, else 0).
constexpr double uniform(std::uint64_t seed, RandomStream stream, std::int32_t position,
                         std::int32_t step, std::uint32_t index) {
  const auto words =
      philox(seed, {index, static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(step),
                    static_cast<std::uint32_t>(stream)});
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

}  // namespace fdllm
