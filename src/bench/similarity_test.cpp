#include "bench/similarity.h"

#include <cmath>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "bench/kv_comparison.h"
#include "bench/similarity_tables.h"

namespace fdllm::bench {
namespace {

TEST(Cosine, IsThatOfTheAngle) {
  const std::vector<float> a = {3, 4};
  const std::vector<float> b = {4, 3};
  const std::vector<float> opposite = {-6, -8};
  const std::vector<float> zero = {0, 0};
  EXPECT_DOUBLE_EQ(cosine(a, a), 1);
  EXPECT_DOUBLE_EQ(cosine(a, b), 0.96);
  EXPECT_DOUBLE_EQ(cosine(a, opposite), -1);
  EXPECT_DOUBLE_EQ(cosine(a, zero), 0);
  EXPECT_DOUBLE_EQ(cosine(zero, zero), 1);
}

TEST(SampledRows, AreAllOrEvenlySpacedAndKnowTheirRegion) {
  const SampledRows all(3, 4, 100);
  ASSERT_EQ(std::vector<std::int32_t>(all.positions().begin(), all.positions().end()),
            (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(all.region(2, {4, 6}), Region::kPrompt);
  EXPECT_EQ(all.region(3, {4, 6}), Region::kEarlierBlocks);
  EXPECT_EQ(all.region(4, {4, 6}), Region::kLiveBlock);
  EXPECT_EQ(all.region(6, {4, 6}), Region::kSuffix);
  const SampledRows few(100, 9, 3);
  EXPECT_EQ(std::vector<std::int32_t>(few.positions().begin(), few.positions().end()),
            (std::vector<std::int32_t>{0, 49, 99, 100, 104, 108}));
}

TEST(StepStore, StaysWithinItsCapacityAndEvenlySpaced) {
  StepStore store(5);
  for (std::int32_t step = 0; step < 37; ++step) {
    if (store.wants(step)) store.add({step, {}});
    EXPECT_LE(store.kept().size(), 5u);
  }
  std::vector<std::int32_t> steps;
  for (const KvRows& rows : store.kept()) steps.push_back(rows.step);
  EXPECT_EQ(steps, (std::vector<std::int32_t>{0, 8, 16, 24, 32}));
}

/// One layer, K and V of width 2, two positions: a prompt row and an answer row.
KvRows rows_at(std::int32_t step, double prompt_angle, double answer_angle) {
  KvRows rows{step, {}};
  for (int kind = 0; kind < 2; ++kind) {  // V turns twice as far as K
    for (const double angle : {prompt_angle, answer_angle}) {
      rows.values.push_back(static_cast<float>(2 * std::cos(angle * (kind + 1))));
      rows.values.push_back(static_cast<float>(2 * std::sin(angle * (kind + 1))));
    }
  }
  return rows;
}

TEST(RegionComparison, ComparesWithTheStepBeforeAndWithTheBlocksFirst) {
  RegionComparison comparison({.layers = 1, .width = 2});
  const SampledRows sampled(1, 1, 10);
  for (int prompt = 0; prompt < 2; ++prompt) {
    comparison.add(sampled, 0, {1, 2}, rows_at(0, 0, 0));
    comparison.add(sampled, 0, {1, 2}, rows_at(1, 0, 0.3));
    comparison.add(sampled, 0, {1, 2}, rows_at(2, 0.1, prompt == 0 ? 0.5 : 0.7));
  }
  const auto result = comparison.result();
  ASSERT_EQ(result.size(), 4u);  // steps 1 and 2 of two regions
  EXPECT_EQ(result[0].region, Region::kPrompt);
  EXPECT_NEAR(result[0].mean[0], 1, 1e-6);
  const RegionSimilarity& live = result[3];
  EXPECT_EQ((std::pair{live.step, live.region}), (std::pair{2, Region::kLiveBlock}));
  EXPECT_EQ(live.rows, 2);
  EXPECT_NEAR(live.mean[0], (std::cos(0.2) + std::cos(0.4)) / 2, 1e-6);
  EXPECT_NEAR(live.mean[1], (std::cos(0.4) + std::cos(0.8)) / 2, 1e-6);
  EXPECT_NEAR(live.least[1], std::cos(0.8), 1e-6);
  EXPECT_NEAR(live.refresh[0], (std::cos(0.5) + std::cos(0.7)) / 2, 1e-6);
  EXPECT_NEAR(result[2].refresh[1], std::cos(0.2), 1e-6);
}

TEST(RegionComparison, ANewBlockHasANewFirstForward) {
  RegionComparison comparison({.layers = 1, .width = 2});
  const SampledRows sampled(1, 1, 10);
  comparison.add(sampled, 0, {1, 2}, rows_at(0, 0, 0));
  comparison.add(sampled, 1, {2, 3}, rows_at(1, 0.4, 0));
  comparison.add(sampled, 1, {2, 3}, rows_at(2, 0.5, 0));
  const auto result = comparison.result();
  ASSERT_EQ(result.size(), 4u);
  EXPECT_EQ(result[1].region, Region::kEarlierBlocks);
  EXPECT_NEAR(result[0].refresh[0], 1, 1e-6);
  EXPECT_NEAR(result[0].mean[0], std::cos(0.4), 1e-6);
  EXPECT_NEAR(result[2].refresh[0], std::cos(0.1), 1e-6);
}

class SimilarityOfNano : public testing::Test {
 protected:
  BenchModel model_{
      {.shape = {}, .path = std::string(FASTDLLM_SOURCE_DIR) + "/models/llada-nano", .layers = {}},
      {.threads = 1}};
  SimilaritySettings settings_{
      .prompts = {model_.prompt_tokens("Sam has 18 rocks and Olga has 8 more. How many?"),
                  model_.prompt_tokens("What is 2 + 3?")},
      .gen_length = 32,
      .block_length = 16};
};

TEST_F(SimilarityOfNano, IsNearOneAndComplete) {
  const SimilarityReport report = run_similarity(model_, settings_, {});
  EXPECT_EQ(report.steps, 32);
  EXPECT_EQ(report.layers, model_.config().layers);
  // 31 pairs of steps; while the first block is live there are three regions, then again three.
  EXPECT_EQ(std::ssize(report.regions), 31 * 3 * report.layers);
  for (const RegionSimilarity& entry : report.regions) {
    for (std::size_t kind = 0; kind < 2; ++kind) {
      ASSERT_LE(entry.least[kind], entry.mean[kind]);
      ASSERT_LE(entry.mean[kind], 1);
      ASSERT_GE(entry.least[kind], -1);
    }
    // The first layer's rows depend on nothing but their own token, which changes in the block
    // only.
    if (entry.layer == 0 && entry.region != Region::kLiveBlock && entry.step != 16) {
      ASSERT_NEAR(entry.least[0], 1, 1e-6) << name_of(entry.region) << entry.step;
    }
  }
  const auto summaries = summarise(report);
  ASSERT_EQ(summaries.size(), 4u);
  EXPECT_GT(summaries[0].mean[0], 0.9);  // the prompt hardly changes: why it may be cached
  EXPECT_LT(summaries[2].mean[1], summaries[0].mean[1]);
  ASSERT_EQ(report.maps.size(), 3u);
  for (const StepSimilarity& map : report.maps) {
    ASSERT_EQ(map.steps.size(), 32u);
    for (std::size_t i = 0; i < 32; ++i) {
      ASSERT_NEAR(map.cosine[0][i * 33], 1, 1e-9);
      ASSERT_EQ(map.cosine[1][i * 32 + 5], map.cosine[1][5 * 32 + i]);
    }
  }
}

TEST_F(SimilarityOfNano, SamplingRowsAndStepsKeepsWhatIsSampled) {
  const SimilarityReport all = run_similarity(model_, settings_, {});
  settings_.map_steps = 9;
  const SimilarityReport sampled = run_similarity(model_, settings_, {});
  const StepSimilarity& map = sampled.maps[2];
  ASSERT_EQ(map.steps, (std::vector<std::int32_t>{0, 4, 8, 12, 16, 20, 24, 28}));
  EXPECT_DOUBLE_EQ(map.cosine[0][1 * 8 + 7], all.maps[2].cosine[0][4 * 32 + 28]);
  settings_.rows = 4;
  const SimilarityReport few = run_similarity(model_, settings_, {});
  EXPECT_EQ(few.regions.front().rows, 2 * 4);
}

TEST_F(SimilarityOfNano, RefusesWhatContradicts) {
  const auto message = [&](auto change) {
    SimilaritySettings settings = settings_;
    change(settings);
    try {
      run_similarity(model_, settings, {});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message([](auto& s) { s.rows = 0; }).find("--rows"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.map_steps = 0; }).find("--map-steps"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.block_length = 0; }).find("block_length"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.prompts[0].clear(); }).find("no token"), std::string::npos);
  EXPECT_NE(message([](auto& s) { s.gen_length = 4096; }).find("--gen-length"), std::string::npos);
  EngineOptions little;
  little.memory_limit = 1000;
  EXPECT_THROW(run_similarity(model_, settings_, little), Error);
}

}  // namespace
}  // namespace fdllm::bench
