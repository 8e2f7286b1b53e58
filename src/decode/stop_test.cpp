#include "decode/stop.h"

#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

constexpr std::int32_t kMask = 9;
const std::vector<std::int32_t> kEnds = {7, 8};

TEST(SettledEnd, AnEndTokenWithAMaskBeforeItIsNotSettled) {
  Canvas canvas({}, 4, kMask);
  EXPECT_EQ(settled_end(canvas, kEnds), std::nullopt);
  canvas.commit(2, 8);
  canvas.commit(0, 1);
  EXPECT_EQ(settled_end(canvas, kEnds), std::nullopt);
  canvas.commit(1, 1);
  EXPECT_EQ(settled_end(canvas, kEnds), 2);
}

TEST(SettledEnd, IsTheFirstOne) {
  Canvas canvas({}, 3, kMask);
  canvas.commit(1, 7);
  canvas.commit(0, 8);
  EXPECT_EQ(settled_end(canvas, kEnds), 0);
}

TEST(SettledEnd, IgnoresThePrompt) {
  const std::vector<std::int32_t> prompt = {7, 1};
  Canvas canvas(prompt, 2, kMask);
  EXPECT_EQ(settled_end(canvas, kEnds), std::nullopt);
  canvas.commit(2, 1);
  canvas.commit(3, 1);
  EXPECT_EQ(settled_end(canvas, kEnds), std::nullopt);
  EXPECT_EQ(settled_end(canvas, {}), std::nullopt);
}

}  // namespace
}  // namespace fdllm
