#include "decode/cache/plan.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using Positions = std::vector<std::int32_t>;

/// Prompt of 3, answer of 12 in blocks of 4, whose rows all have K/V; position 4 was committed and
/// run since, position 5 committed in the step before.
class Plan : public ::testing::Test {
 protected:
  Plan() : canvas_(std::vector<std::int32_t>{1, 2, 3}, 12, 99), stale_(15) {
    stale_.ran(positions_of({0, 15}));
    canvas_.commit(4, 5);
    canvas_.commit(5, 6);
    stale_.committed(5);
  }

  ForwardPlan plan(const GenerateOptions& options, StepKind kind, Range block = {3, 7},
                   Range before = {}) const {
    return make_plan(resolve_plan(options, 4), {.canvas = canvas_,
                                                .stale = stale_,
                                                .block = block,
                                                .before = before,
                                                .kind = kind,
                                                .end = 15,
                                                .tail = tail_});
  }

  Canvas canvas_;
  StaleRows stale_;
  Range tail_ = {};
};

TEST_F(Plan, ThePapersRefreshIsTheWholeCanvasWhateverTheCache) {
  for (const CacheKind cache : {CacheKind::kNone, CacheKind::kPrefix, CacheKind::kDual}) {
    GenerateOptions options;
    options.cache = cache;
    const ForwardPlan refresh = plan(options, StepKind::kRefresh);
    EXPECT_EQ(refresh.query, positions_of({0, 15}));
    EXPECT_EQ(refresh.attend, (std::vector<Range>{{0, 15}}));
    EXPECT_EQ(refresh.score, (Positions{3, 6}));
    EXPECT_EQ(attended_rows(refresh), 15);
  }
}

TEST_F(Plan, ThePapersWindowsDifferOnlyInTheirQuery) {
  const auto query = [&](CacheKind cache) {
    GenerateOptions options;
    options.cache = cache;
    const ForwardPlan window = plan(options, StepKind::kWindow);
    EXPECT_EQ(window.attend, (std::vector<Range>{{0, 15}}));
    EXPECT_EQ(window.score, (Positions{3, 6}));
    return window.query;
  };
  EXPECT_EQ(query(CacheKind::kNone), positions_of({0, 15}));
  EXPECT_EQ(query(CacheKind::kPrefix), positions_of({3, 15}));
  EXPECT_EQ(query(CacheKind::kDual), positions_of({3, 7}));
}

TEST_F(Plan, MaskedRunsMasksAndWhatWasJustCommitted) {
  GenerateOptions options;
  options.query = QueryRows::kMasked;
  EXPECT_EQ(plan(options, StepKind::kWindow).query, (Positions{3, 5, 6}));
  options.cache = CacheKind::kPrefix;
  EXPECT_EQ(plan(options, StepKind::kWindow).query,
            (Positions{3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(plan(options, StepKind::kRefresh).query, positions_of({0, 15}));
}

TEST_F(Plan, AStaleRowIsRunWhereverItLies) {
  EXPECT_EQ(plan({}, StepKind::kWindow, {7, 11}).query, (Positions{5, 7, 8, 9, 10}));
}

TEST_F(Plan, RowsBeforeTheBlockAreRunInEveryStep) {
  GenerateOptions options;
  options.query_before = 2;
  EXPECT_EQ(plan(options, StepKind::kWindow).query, (Positions{1, 2, 3, 4, 5, 6}));
  options.query = QueryRows::kMasked;
  EXPECT_EQ(plan(options, StepKind::kWindow).query, (Positions{1, 2, 3, 5, 6}));
  options.query = QueryRows::kAll;
  options.query_before = 1 << 30;
  EXPECT_EQ(plan(options, StepKind::kWindow).query, positions_of({0, 7}));
  options.cache = CacheKind::kPrefix;
  EXPECT_EQ(plan(options, StepKind::kWindow).query, positions_of({0, 15}));
  options.cache = CacheKind::kDual;
  options.query_before = 3;
  options.refresh = RefreshKind::kVicinity;
  options.refresh_radius = 1;
  EXPECT_EQ(plan(options, StepKind::kVicinity, {7, 11}).query,
            (Positions{4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(plan(options, StepKind::kRefresh).query, positions_of({0, 15}));
}

TEST_F(Plan, AVicinityIsTheRowsAroundTheBlockAndTheBlockBefore) {
  GenerateOptions options;
  options.refresh = RefreshKind::kVicinity;
  options.refresh_radius = 1;
  EXPECT_EQ(plan(options, StepKind::kVicinity, {11, 15}, {3, 7}).query,
            (Positions{3, 4, 5, 6, 10, 11, 12, 13, 14}));
  options.refresh_radius = 1 << 30;
  EXPECT_EQ(plan(options, StepKind::kVicinity, {7, 11}).query, positions_of({0, 15}));
}

TEST_F(Plan, ASuffixWindowLeavesOutFarMasksButForTheLast) {
  GenerateOptions options;
  options.suffix_window = 2;
  const ForwardPlan refresh = plan(options, StepKind::kRefresh);
  EXPECT_EQ(refresh.attend, (std::vector<Range>{{0, 9}, {14, 15}}));
  EXPECT_EQ(refresh.query, (Positions{0, 1, 2, 3, 4, 5, 6, 7, 8, 14}));
  EXPECT_EQ(attended_rows(refresh), 10);
  options.cache = CacheKind::kPrefix;
  EXPECT_EQ(plan(options, StepKind::kWindow).query, (Positions{3, 4, 5, 6, 7, 8, 14}));
  options.suffix_window = 0;
  EXPECT_EQ(plan(options, StepKind::kRefresh).attend, (std::vector<Range>{{0, 7}, {14, 15}}));
  for (const std::int32_t whole : {7, 8, 1 << 30}) {
    options.suffix_window = whole;
    EXPECT_EQ(plan(options, StepKind::kRefresh).attend, (std::vector<Range>{{0, 15}}));
  }
}

TEST_F(Plan, TextBehindASuffixWindowStaysAttended) {
  canvas_.commit(12, 7);
  GenerateOptions options;
  options.suffix_window = 1;
  EXPECT_EQ(plan(options, StepKind::kRefresh).attend,
            (std::vector<Range>{{0, 8}, {12, 13}, {14, 15}}));
}

TEST_F(Plan, RowsThatComeIntoTheSuffixWindowAreRun) {
  stale_ = StaleRows(15);
  GenerateOptions options;
  options.suffix_window = 2;
  options.refresh = RefreshKind::kNever;
  stale_.ran(plan(options, StepKind::kRefresh).query);
  EXPECT_EQ(plan(options, StepKind::kWindow, {7, 11}).query, (Positions{7, 8, 9, 10, 11, 12}));
}

TEST_F(Plan, TheTailOfAGrowingCanvasIsRunAndScored) {
  tail_ = {5, 14};
  const ForwardPlan window = plan({}, StepKind::kWindow);
  EXPECT_EQ(window.query, positions_of({3, 14}));
  EXPECT_EQ(window.score, (Positions{3, 6, 7, 8, 9, 10, 11, 12, 13}));
  GenerateOptions options;
  options.suffix_window = 1;
  EXPECT_EQ(plan(options, StepKind::kWindow).score, (Positions{3, 6, 7}));
  canvas_.commit(8, 1);
  EXPECT_EQ(plan({}, StepKind::kWindow).score, (Positions{3, 6, 7, 9, 10, 11, 12, 13}));
}

TEST(ResolvePlan, FillsInDefaults) {
  const PlanSettings paper = resolve_plan({}, 32);
  EXPECT_TRUE(paper.as_paper());
  EXPECT_EQ(paper.cache->name, "dual");
  EXPECT_EQ(paper.refresh_interval, 1);
  GenerateOptions options;
  options.refresh = RefreshKind::kVicinity;
  EXPECT_EQ(resolve_plan(options, 32).refresh_interval, 0);
  EXPECT_EQ(resolve_plan(options, 32).refresh_radius, 32);
  EXPECT_FALSE(resolve_plan(options, 32).as_paper());
  for (const RefreshPolicy& policy : refresh_policies()) {
    EXPECT_EQ(&refresh_policy(policy.kind), &policy);
  }
}

TEST(ResolvePlan, RefusesWhatContradicts) {
  const auto refused = [](const auto& change, const std::vector<std::string>& words) {
    GenerateOptions options;
    change(options);
    testing::expect_refused([&] { resolve_settings(options, testing::llada_traits(), 8); }, words);
  };
  const auto uncached = [](auto& o) { o.cache = CacheKind::kNone; };
  refused([&](auto& o) { uncached(o), o.query = QueryRows::kMasked; }, {"'query'", "'cache' none"});
  refused([&](auto& o) { uncached(o), o.query_before = 8; }, {"'query_before'", "'cache' none"});
  refused([](auto& o) { o.query_before = -1; }, {"'query_before'", "at least 0"});
  refused([&](auto& o) { uncached(o), o.refresh = RefreshKind::kNever; }, {"'refresh'", "none"});
  refused([&](auto& o) { uncached(o), o.refresh_interval = 2; }, {"'refresh_interval'", "none"});
  refused([](auto& o) { o.refresh_radius = 8; }, {"'refresh_radius'", "block", "vicinity"});
  refused([](auto& o) { o.refresh_drift = 0.5; }, {"'refresh_drift'", "block", "drift"});
  refused([](auto& o) { o.refresh_interval = 0; }, {"'refresh_interval'", "at least 1"});
  refused([](auto& o) { o.suffix_window = -1; }, {"'suffix_window'", "at least 0"});
  refused([](auto& o) { o.refresh = RefreshKind::kVicinity, o.refresh_radius = -1; },
          {"'refresh_radius'"});
  for (const double bad : {-0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    refused([&](auto& o) { o.refresh = RefreshKind::kDrift, o.refresh_drift = bad; },
            {"'refresh_drift'", "0 to 1"});
  }
}

}  // namespace
}  // namespace fdllm
