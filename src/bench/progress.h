#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace fdllm::bench {

/// How far a measurement is.
struct BenchProgress {
  std::string what;  ///< "forwards", "tokens"
  std::int64_t done = 0, total = 0;
  std::string part = {};  ///< of what runs now: "layer 3 of 32"
};

/// Called on the thread that measures, between what is timed or, where a forward takes long, in it;
/// must be quick and not throw.
using BenchListener = std::function<void(const BenchProgress&)>;

}  // namespace fdllm::bench
