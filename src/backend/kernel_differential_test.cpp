#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "backend/kernel_differential_testing.h"

namespace fdllm::testing {
namespace {

TEST(KernelDifferential, RandomCasesAgreeOnEveryInstructionSet) {
  std::mt19937 random(20251125);
  for (int i = 0; i < 600; ++i) {
    std::vector<std::uint8_t> bytes(32);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const auto difference = first_kernel_difference(bytes);
    ASSERT_FALSE(difference) << "case " << i << ": " << *difference;
  }
}

TEST(KernelDifferential, AnyBytesMakeACase) {
  for (const std::size_t count : {0, 1, 2, 3, 5}) {
    const std::vector<std::uint8_t> bytes(count, 0xff);
    const auto difference = first_kernel_difference(bytes);
    EXPECT_FALSE(difference) << *difference;
  }
}

}  // namespace
}  // namespace fdllm::testing
