#pragma once
#include <cstdint>

namespace fdllm::cuda {

/// Rows of a launch: its grid is for `most` of them, and the kernel works on the first *count,
/// which is in device memory. So launches for nearly as many rows are the same launch, and rows
/// between the two cost nothing and write nothing.
struct Rows {
  const std::int32_t* count = nullptr;
  std::int64_t most = 0;

  bool operator==(const Rows&) const = default;
};

/// `count` rounded up: to 16, 32, 48, 64, 96, 128, 192, ...; 0 stays 0.
constexpr std::int64_t bucket_of(std::int64_t count) {
  if (count <= 0) return 0;
  std::int64_t bucket = 16;
  while (bucket < count) {
    if (bucket + bucket / 2 >= count && bucket > 16) return bucket + bucket / 2;
    bucket *= 2;
  }
  return bucket;
}

}  // namespace fdllm::cuda
