#include "eval/shot_sampler.h"

#include <gtest/gtest.h>

namespace fdllm::eval {
namespace {

using Indices = std::vector<std::size_t>;

// random.Random(seed).sample(range(population), count) of Python 3.11.
TEST(ShotSampler, DrawsAsPythonDoes) {
  ShotSampler sampler(1234);
  EXPECT_EQ(sampler.sample(9, 5), (Indices{7, 1, 0, 6, 4}));
  EXPECT_EQ(sampler.sample(9, 5), (Indices{0, 1, 8, 2, 7}));
  EXPECT_EQ(sampler.sample(200, 8), (Indices{4, 7, 88, 165, 159, 123, 157, 118}));
  EXPECT_EQ(sampler.sample(200, 8), (Indices{38, 23, 46, 182, 29, 3, 128, 124}));
  EXPECT_EQ(sampler.sample(7473, 5), (Indices{7212, 2046, 528, 5466, 4432}));
}

TEST(ShotSampler, AroundTheLimitOfItsTwoWays) {
  ShotSampler sampler(0);
  EXPECT_EQ(sampler.sample(1, 1), (Indices{0}));
  EXPECT_EQ(sampler.sample(60, 8), (Indices{48, 56, 26, 2, 16, 32, 31, 25}));
  EXPECT_EQ(sampler.sample(21, 5), (Indices{9, 15, 11, 6, 16}));
  EXPECT_EQ(sampler.sample(22, 5), (Indices{4, 9, 3, 19, 8}));
  EXPECT_EQ(sampler.sample(85, 6), (Indices{68, 77, 18, 39, 12, 9}));
  EXPECT_EQ(sampler.sample(86, 6), (Indices{42, 60, 71, 12, 45, 55}));
  EXPECT_EQ(sampler.sample(5, 0), Indices{});
}

}  // namespace
}  // namespace fdllm::eval
