#include "verify/replay.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "verify/logits_check.h"

namespace fdllm {
namespace {

Trace small_trace() {
  Trace trace;
  trace.model = "nano";
  trace.prompt_ids = {7, 8, 9};
  trace.options.gen_length = 4;
  trace.options.block_length = 4;
  trace.options.eos_stop = false;
  trace.options.rule.set("steps", 4);
  trace.forwards = {{{0, 7}, {{4, 11}, {3, 10}}}, {{3, 7}, {{5, 12}, {6, 13}}}};
  trace.output_ids = {10, 11, 12, 13};
  return trace;
}

bool contains(const std::optional<std::string>& text, const std::string& part) {
  return text && text->find(part) != std::string::npos;
}

TEST(Divergence, EqualInAnyOrderOfCommitment) {
  Trace replayed = small_trace();
  std::swap(replayed.forwards[0].unmasked[0], replayed.forwards[0].unmasked[1]);
  EXPECT_FALSE(first_divergence(small_trace(), replayed));
}

TEST(Divergence, NamesTheFirstForward) {
  Trace replayed = small_trace();
  replayed.forwards[1].query = {0, 7};
  EXPECT_TRUE(contains(first_divergence(small_trace(), replayed),
                       "forward 2 of 2: query: expected [3, 7), found [0, 7)"));
  replayed = small_trace();
  replayed.forwards[0].unmasked[1].second = 99;
  EXPECT_TRUE(contains(first_divergence(small_trace(), replayed),
                       "forward 1 of 2: committed (position, token): missing (3, 10); not "
                       "expected (3, 99)"));
}

TEST(Divergence, CountsForwards) {
  Trace shorter = small_trace();
  shorter.forwards.pop_back();
  EXPECT_TRUE(contains(first_divergence(small_trace(), shorter),
                       "expected 2 forwards that commit, found 1"));
  EXPECT_TRUE(contains(first_divergence(shorter, small_trace()),
                       "expected 1 forwards that commit, found 2"));
  shorter.options.eos_stop = true;
  EXPECT_FALSE(first_divergence(shorter, small_trace()));
}

TEST(Divergence, ComparesTheOutput) {
  Trace replayed = small_trace();
  replayed.output_ids[2] = 99;
  EXPECT_TRUE(contains(first_divergence(small_trace(), replayed), "position 2 of the answer"));
}

TEST(ReplayRequest, EndsNowhereEarly) {
  Trace trace = small_trace();
  trace.options.eos_stop = true;
  trace.options.stop = {"x"};
  trace.options.suffix_window = 8;
  const GenerateOptions options = replay_request(trace).options;
  EXPECT_FALSE(options.eos_stop);
  EXPECT_TRUE(options.stop.empty());
  EXPECT_EQ(options.suffix_window, 8);
  EXPECT_EQ(options.rule.get("steps"), 4);
}

TEST(ReplayObstacle, IsRandomnessOrAnotherThanTheReferencesWay) {
  const Engine engine =
      Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano");
  const auto obstacle = [&](const auto& change) {
    GenerateRequest request = replay_request(small_trace());
    change(request.options);
    return replay_obstacle(small_trace(), engine.resolve(request));
  };
  EXPECT_FALSE(obstacle([](GenerateOptions&) {}));
  EXPECT_TRUE(contains(obstacle([](GenerateOptions& o) { o.temperature = 0.5; }), "random"));
  EXPECT_TRUE(
      contains(obstacle([](GenerateOptions& o) { o.remasking = Remasking::kRandom; }), "random"));
  EXPECT_TRUE(contains(obstacle([](GenerateOptions& o) { o.correct = true; }), "correct"));
}

TEST(RelativeDifference, IsOfTheLargest) {
  const std::vector<float> expected{1, -4, 2};
  EXPECT_DOUBLE_EQ(relative_difference(expected, std::vector<float>{1, -4, 2}), 0);
  EXPECT_DOUBLE_EQ(relative_difference(expected, std::vector<float>{1, -4, 3}), 0.25);
  EXPECT_TRUE(std::isinf(relative_difference(
      expected, std::vector<float>{1, std::numeric_limits<float>::quiet_NaN(), 2})));
  EXPECT_TRUE(std::isinf(relative_difference(expected, std::vector<float>{1, -4})));
  EXPECT_TRUE(std::isinf(relative_difference(std::vector<float>{0}, std::vector<float>{1})));
}

}  // namespace
}  // namespace fdllm
