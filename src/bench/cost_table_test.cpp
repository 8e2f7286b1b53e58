#include "bench/cost_table.h"

#include <limits>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

namespace fdllm::bench {
namespace {

/// 1 s for the weights or 0.1 s a row, a hundredth of a second for each attended row and query row,
/// and 0.5 s for the head or 0.01 s a row.
CostPoint point(std::int64_t query, std::int64_t attended, std::int64_t scored) {
  const double layers = std::max(1.0, 0.1 * static_cast<double>(query));
  const double attention = 1e-4 * static_cast<double>(query * attended);
  const double head = std::max(0.5, 0.01 * static_cast<double>(scored));
  return {{query, attended, scored}, layers + attention + head, attention, head};
}

TEST(CostTable, GivesBackWhatWasMeasured) {
  const std::vector<CostPoint> points = {point(64, 1000, 64), point(1, 1000, 1),
                                         point(512, 1000, 32), point(10, 1000, 10)};
  const CostTable table(points);
  for (const CostPoint& entry : points) {
    EXPECT_NEAR(table.seconds(entry.rows), entry.seconds, 1e-12) << entry.rows.query;
  }
}

TEST(CostTable, InterpolatesRowsAttentionAndHeadEachByItsOwn) {
  const CostTable table(
      {point(1, 1000, 1), point(10, 1000, 10), point(64, 1000, 64), point(512, 1000, 32)});
  // Where the cost is linear between the points, they suffice.
  EXPECT_NEAR(table.seconds({30, 1000, 30}), point(30, 1000, 30).seconds, 1e-9);
  EXPECT_NEAR(table.seconds({200, 1000, 7}), point(200, 1000, 7).seconds, 1e-9);
  EXPECT_NEAR(table.seconds({64, 250, 64}), point(64, 250, 64).seconds, 1e-9);
  EXPECT_NEAR(table.seconds({2000, 3000, 32}), point(2000, 3000, 32).seconds, 1e-9);
  EXPECT_NEAR(table.seconds({64, 1000, 0}), point(64, 1000, 1).seconds - 0.5, 1e-9);
}

TEST(CostTable, FewerRowsThanTheFewestCostAsMuch) {
  const CostTable table({point(10, 1000, 10), point(20, 1000, 20)});
  EXPECT_DOUBLE_EQ(table.seconds({3, 1000, 3}), table.seconds({10, 1000, 10}));
  const CostTable single({point(10, 1000, 10)});
  EXPECT_GT(single.seconds({20, 1000, 10}), single.seconds({10, 1000, 10}));
}

TEST(CostTable, RefusesWhatCannotBe) {
  EXPECT_THROW(CostTable({}), Error);
  EXPECT_THROW(CostTable({point(10, 1000, 10), point(10, 500, 5)}), Error);
  CostPoint wrong = point(10, 1000, 10);
  wrong.seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(CostTable({wrong}), Error);
  wrong = point(10, 1000, 10);
  wrong.attention_seconds = wrong.seconds;
  EXPECT_THROW(CostTable({wrong}), Error);
  wrong = point(10, 5, 10);
  EXPECT_THROW(CostTable({wrong}), Error);
  wrong = point(10, 1000, 11);
  EXPECT_THROW(CostTable({wrong}), Error);
}

TEST(ForwardCounts, PutAnotherPromptInPlaceOfTheOneThatRan) {
  const CostTable table(
      {point(1, 1000, 1), point(10, 1000, 10), point(64, 1000, 64), point(512, 1000, 32)});
  ForwardCounts counts;
  // A refresh and two steps of a block, behind prompts of 20 and 30 tokens.
  for (const std::int64_t prompt : {20, 30}) {
    counts.add({prompt + 64, prompt + 64, 32}, 0, prompt);
    counts.add({32, prompt + 64, 20}, prompt, prompt);
    counts.add({40, prompt + 64, 20}, prompt - 8, prompt);  // some rows of the prompt only
  }
  counts.add({40, 84, 20}, 0, 20);  // the vicinity of the first block, behind a short prompt
  EXPECT_EQ(counts.counts().size(), 3u);
  const double expected = 2 * (table.seconds({964, 964, 32}) + table.seconds({32, 964, 20}) +
                               table.seconds({40, 964, 20})) +
                          table.seconds({40, 964, 20});
  EXPECT_NEAR(counts.seconds(table, 900), expected, 1e-9);
}

TEST(MeasureCosts, MeasuresEachNumberOfRows) {
  BenchModel model({.shape = "llada-nano", .path = {}, .layers = {}}, {.threads = 1});
  const auto points = measure_costs(model, {.rows = {4, 1, 300}, .attend = 64, .seconds = 0.01});
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].rows.query, 1);
  EXPECT_EQ(points[2].rows.query, 300);
  EXPECT_EQ(points[2].rows.attended, 300);
  EXPECT_EQ(points[2].rows.scored, 32);
  EXPECT_EQ(points[1].rows.scored, 4);
  const CostTable table(points);  // its conditions hold
  EXPECT_GT(table.seconds({300, 300, 32}), table.seconds({1, 64, 1}));
  EXPECT_THROW(measure_costs(model, {.rows = {}}), Error);
  EXPECT_THROW(measure_costs(model, {.rows = {4, 4}}), Error);
  EXPECT_THROW(measure_costs(model, {.rows = {100000}}), Error);
}

}  // namespace
}  // namespace fdllm::bench
