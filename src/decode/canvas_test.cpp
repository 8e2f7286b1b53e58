#include "decode/canvas.h"

#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

namespace fdllm {
namespace {

constexpr std::int32_t kMask = 9;

TEST(Canvas, IsThePromptFollowedByMasks) {
  const std::vector<std::int32_t> prompt = {1, 2};
  const Canvas canvas(prompt, 3, kMask);
  EXPECT_EQ(std::vector<std::int32_t>(canvas.tokens().begin(), canvas.tokens().end()),
            (std::vector<std::int32_t>{1, 2, kMask, kMask, kMask}));
  EXPECT_EQ(canvas.length(), 5);
  EXPECT_EQ(canvas.prompt_length(), 2);
  EXPECT_EQ(canvas.gen_length(), 3);
  EXPECT_EQ(canvas.masked_positions({0, 5}), (std::vector<std::int32_t>{2, 3, 4}));
}

TEST(Canvas, AMaskTokenInThePromptIsNotMasked) {
  const std::vector<std::int32_t> prompt = {kMask, 1, kMask};
  Canvas canvas(prompt, 1, kMask);
  EXPECT_EQ(canvas.masked_count(), 1);
  EXPECT_FALSE(canvas.masked(0));
  EXPECT_EQ(canvas.masked_positions({0, 4}), (std::vector<std::int32_t>{3}));
  EXPECT_THROW(canvas.commit(0, 5), Error);
}

TEST(Canvas, CommitsAMaskedPositionOnce) {
  Canvas canvas({}, 4, kMask);
  canvas.commit(2, 7);
  EXPECT_EQ(canvas.tokens()[2], 7);
  EXPECT_EQ(canvas.masked_count(), 3);
  EXPECT_EQ(canvas.masked_count({2, 4}), 1);
  EXPECT_EQ(canvas.masked_positions({0, 4}), (std::vector<std::int32_t>{0, 1, 3}));
  EXPECT_THROW(canvas.commit(2, 7), Error);
}

TEST(Canvas, RefusesTheMaskTokenNoTokenAndPositionsOutside) {
  Canvas canvas({}, 4, kMask);
  EXPECT_THROW(canvas.commit(0, kMask), Error);
  EXPECT_THROW(canvas.commit(0, -1), Error);
  EXPECT_THROW(canvas.commit(-1, 1), Error);
  EXPECT_THROW(canvas.commit(4, 1), Error);
  EXPECT_THROW(canvas.masked_count({0, 5}), Error);
  EXPECT_THROW(canvas.masked_positions({-1, 2}), Error);
  EXPECT_THROW(Canvas({}, -1, kMask), Error);
  EXPECT_EQ(canvas.masked_count(), 4);
}

}  // namespace
}  // namespace fdllm
