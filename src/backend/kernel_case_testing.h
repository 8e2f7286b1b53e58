// A random case of an operation: how its shape and values are drawn, and how far results may be
// apart.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace fdllm::testing {

using Difference = std::optional<std::string>;
using Values = std::vector<float>;

/// A case's choices: its bytes first, then numbers that the bytes seed.
class Draw {
 public:
  explicit Draw(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    std::uint64_t seed = 14695981039346656037u;
    for (const std::uint8_t byte : bytes) seed = (seed ^ byte) * 1099511628211u;
    random_.seed(seed);
  }

  std::int64_t integer(std::int64_t low, std::int64_t high) {
    std::uint64_t value = 0;
    for (int i = 0; i < 2; ++i) {
      std::uint8_t byte = static_cast<std::uint8_t>(random_());
      if (!bytes_.empty()) {
        byte = bytes_.front();
        bytes_ = bytes_.subspan(1);
      }
      value = value << 8 | byte;
    }
    return low + static_cast<std::int64_t>(value % static_cast<std::uint64_t>(high - low + 1));
  }

  /// N(0, 1), with one of `specials` at times, if this case has any.
  Values values(std::int64_t count, std::span<const float> specials) {
    const std::int64_t kind = integer(0, 3);
    const double share = kind == 0 ? 0 : kind == 1 ? 0.002 : kind == 2 ? 0.05 : 0.5;
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<double> unit;
    Values result(static_cast<std::size_t>(count));
    for (float& value : result) {
      value = normal(random_);
      if (!specials.empty() && unit(random_) < share) {
        value = specials[static_cast<std::size_t>(random_() % specials.size())];
      }
    }
    return result;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::mt19937_64 random_;
};

inline constexpr float kAnyValue[] = {std::numeric_limits<float>::quiet_NaN(),
                                      std::numeric_limits<float>::infinity(),
                                      -std::numeric_limits<float>::infinity(),
                                      std::numeric_limits<float>::denorm_min(),
                                      -1e-40f,
                                      1.2e-38f,
                                      1e-30f,
                                      3e38f,
                                      -3e38f,
                                      1e19f,
                                      -1e5f,
                                      0.0f,
                                      -0.0f};
inline constexpr float kFiniteValue[] = {
    std::numeric_limits<float>::denorm_min(), -1e-40f, 1e-30f, 40.0f, -40.0f, 0.0f, -0.0f};

/// Equal bits; every NaN is as good as another.
inline bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

inline Difference first_unequal(std::span<const float> expected, std::span<const float> found,
                                const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!same(expected[i], found[i])) {
      return fmt::format("{}: value {}: expected {}, found {}", what, i, expected[i], found[i]);
    }
  }
  return std::nullopt;
}

/// How far a value may be from the scalar one: a distance, "not finite either", or anything.
struct Bound {
  double distance = 0;
  enum class Kind { kDistance, kNotFinite, kAnything } kind = Kind::kDistance;

  bool allows(float expected, float found) const {
    switch (kind) {
      case Kind::kAnything:
        return true;
      case Kind::kNotFinite:
        return !std::isfinite(expected) && !std::isfinite(found);
      case Kind::kDistance:
        break;
    }
    return std::abs(double{expected} - double{found}) <= distance;
  }
};

template <typename BoundOf>
Difference first_distant(std::span<const float> expected, std::span<const float> found,
                         const std::string& what, BoundOf&& bound_of) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Bound bound = bound_of(i);
    if (!bound.allows(expected[i], found[i])) {
      return fmt::format("{}: value {}: scalar {}, found {}, allowed {}", what, i, expected[i],
                         found[i], bound.kind == Bound::Kind::kNotFinite ? -1.0 : bound.distance);
    }
  }
  return std::nullopt;
}

}  // namespace fdllm::testing
