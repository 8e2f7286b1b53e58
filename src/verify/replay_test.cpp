#include "verify/replay.h"

#include <cmath>
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
  trace.gen_length = 4;
  trace.block_length = 4;
  trace.steps = 4;
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
  shorter.eos_stop = true;
  EXPECT_FALSE(first_divergence(shorter, small_trace()));
}

TEST(Divergence, ComparesTheOutput) {
  Trace replayed = small_trace();
  replayed.output_ids[2] = 99;
  EXPECT_TRUE(contains(first_divergence(small_trace(), replayed), "position 2 of the answer"));
}

TEST(ReplayRequest, IsOfTheReferencesConfidenceUnlessItNamesAnother) {
  Trace trace = small_trace();
  EXPECT_EQ(replay_request(trace).options.confidence, Confidence::kReference);
  trace.beyond_paper = {{"confidence", "raw"}};
  EXPECT_EQ(replay_request(trace).options.confidence, Confidence::kRaw);
}

TEST(ReplayRequest, TakesStepsWhereTheyCount) {
  Trace trace = small_trace();
  EXPECT_EQ(replay_request(trace).options.steps, 4);
  EXPECT_FALSE(replay_request(trace).options.eos_stop);
  trace.threshold = 0.5;
  EXPECT_FALSE(replay_request(trace).options.steps);
  trace.alg = "confidence_threshold";
  EXPECT_EQ(replay_request(trace).options.steps, 4);
  trace.cache = CacheKind::kPrefix;
  EXPECT_FALSE(replay_request(trace).options.steps);
  EXPECT_EQ(replay_request(trace).options.threshold, 0.5);
}

TEST(ReplayRequest, TakesAFixedRate) {
  Trace trace = small_trace();
  trace.tokens_per_forward = 2.5;
  trace.top_k = 7;
  const Trace read = parse_trace(format_trace(trace), "t:1");
  const GenerateOptions options = replay_request(read).options;
  EXPECT_EQ(options.tokens_per_forward, 2.5);
  EXPECT_EQ(options.top_k, 7);
  EXPECT_FALSE(options.steps);
}

TEST(ReplayRequest, TakesWhatIsBeyondThePaper) {
  Trace trace = small_trace();
  trace.beyond_paper = {{"query", "masked"}, {"suffix-window", "8"}};
  const Trace read = parse_trace(format_trace(trace), "t:1");
  const GenerateOptions options = replay_request(read).options;
  EXPECT_EQ(options.query, QueryRows::kMasked);
  EXPECT_EQ(options.suffix_window, 8);
  trace.beyond_paper = {{"unheard-of", "1"}};
  EXPECT_THROW(replay_request(trace), Error);
  EXPECT_THROW(parse_trace(R"({"model": "m", "beyond_paper": 1})", "t:1"), Error);
}

TEST(ReplayObstacle, NamesRandomness) {
  Trace trace = small_trace();
  EXPECT_FALSE(replay_obstacle(trace));
  trace.temperature = 0.5;
  EXPECT_TRUE(contains(replay_obstacle(trace), "temperature 0.5"));
  trace = small_trace();
  trace.remasking = "random";
  EXPECT_TRUE(contains(replay_obstacle(trace), "random"));
  trace = small_trace();
  trace.correct = true;
  EXPECT_TRUE(contains(replay_obstacle(trace), "correct"));
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
