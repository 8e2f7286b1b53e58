#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "backend/kernel_differential_testing.h"

// Any case of any kernel: every instruction set agrees with the scalar one, whatever the batch and
// the number of threads.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto difference = fdllm::testing::first_kernel_difference({data, size})) {
    std::fprintf(stderr, "%s\n", difference->c_str());
    std::abort();
  }
  return 0;
}
