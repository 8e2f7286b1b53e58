#include "bench/ladder.h"

#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "bench/ladder_report.h"

namespace fdllm::bench {
namespace {

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return {};
}

TEST(LadderRows, HaveNamesOfTheirOwnAndOptionsThatExist) {
  std::vector<LadderRow> rows = ladder_rows();
  for (const char* sweep : {"threshold", "factor", "block", "refresh"}) {
    for (const LadderRow& row : ladder_sweep(sweep)) rows.push_back(row);
  }
  std::vector<std::string> names;
  for (const LadderRow& row : rows) {
    names.push_back(row.name);
    const GenerateOptions options = ladder_options(row, 256, 32, false);
    EXPECT_EQ(options.gen_length, 256) << row.name;
    EXPECT_FALSE(options.eos_stop) << row.name;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  const GenerateOptions baseline = ladder_options(rows.front(), 64, 32, true);
  EXPECT_EQ(rows.front().name, kBaselineRow);
  EXPECT_EQ(baseline.cache, CacheKind::kNone);
  EXPECT_EQ(baseline.rule.get("tokens_per_forward"), 1.0);
  EXPECT_EQ(baseline.block_length, 32);
}

TEST(LadderRows, AreFoundByName) {
  EXPECT_EQ(find_ladder_rows({"dual", "baseline", "dual"}).size(), 2u);
  EXPECT_EQ(find_ladder_rows({"paper", "presets"}).size(), find_ladder_rows({"all"}).size());
  EXPECT_EQ(find_ladder_rows({"presets"}).front().name, "preset:exact");
  EXPECT_NE(refusal([] { find_ladder_rows({"x"}); }).find("'x'"), std::string::npos);
  EXPECT_NE(refusal([] { ladder_sweep("x"); }).find("threshold, factor"), std::string::npos);
}

TEST(LadderRows, OfTheUserAreChecked) {
  const LadderRow named = parse_ladder_row("mine: cache=dual  threshold=0.8");
  EXPECT_EQ(named.name, "mine");
  EXPECT_EQ(ladder_options(named, 64, 32, true).rule.get("threshold"), 0.8);
  EXPECT_EQ(parse_ladder_row("cache=none steps=8").name, "cache=none steps=8");
  EXPECT_EQ(ladder_options(parse_ladder_row("block-length=8"), 64, 32, true).block_length, 8);
  for (const char* text : {"", "mine: ", ": cache=dual", "cache", "cache=other", "colour=red"}) {
    EXPECT_FALSE(refusal([&] { parse_ladder_row(text); }).empty()) << text;
  }
}

LadderCell cell_of(const char* name, std::vector<bool> correct, std::int64_t forwards,
                   double seconds) {
  LadderCell cell{.row = {name, name, "cache=none"}, .group = {64, 0, false}};
  for (std::size_t i = 0; i < correct.size(); ++i) {
    cell.items.push_back({.id = std::to_string(i),
                          .correct = correct[i],
                          .prompt_tokens = 10,
                          .forwards = forwards,
                          .committed = 64,
                          .useful = 20,
                          .seconds = seconds,
                          .error = {}});
    cell.forwards.add({32, 74, 16}, 10, 10);
  }
  return cell;
}

TEST(LadderSummary, ComparesItemByItemWithTheBaseline) {
  const LadderCell baseline = cell_of("baseline", {true, true, false, false}, 64, 4.0);
  const LadderCell cell = cell_of("fast", {true, false, true, false}, 16, 0.5);
  const LadderSummary summary = summarise(cell, &baseline, nullptr, {});
  EXPECT_EQ(summary.items, 4);
  EXPECT_DOUBLE_EQ(summary.accuracy, 0.5);
  ASSERT_TRUE(summary.paired);
  EXPECT_EQ(summary.paired->both, 1);
  EXPECT_EQ(summary.paired->only_first, 1);
  EXPECT_EQ(summary.paired->only_second, 1);
  EXPECT_EQ(summary.paired->neither, 1);
  EXPECT_DOUBLE_EQ(summary.tokens_per_forward, 4);
  EXPECT_DOUBLE_EQ(summary.forwards_per_useful, 0.8);
  EXPECT_DOUBLE_EQ(summary.useful_per_second, 40);
  EXPECT_DOUBLE_EQ(summary.seconds_per_item, 0.5);
  EXPECT_DOUBLE_EQ(*summary.speed_up, 8);
  EXPECT_DOUBLE_EQ(*summary.time_speed_up, 8);
  const LadderSummary own = summarise(baseline, &baseline, nullptr, {});
  EXPECT_FALSE(own.paired || own.speed_up);
}

TEST(LadderSummary, LeavesErrorsOutOfSpeedButCountsThemAsWrong) {
  LadderCell cell = cell_of("fast", {true, true}, 16, 0.5);
  cell.items[1] = {.id = "1", .error = "too long"};
  const LadderSummary summary = summarise(cell, nullptr, nullptr, {});
  EXPECT_EQ(summary.errors, 1);
  EXPECT_DOUBLE_EQ(summary.accuracy, 0.5);
  EXPECT_DOUBLE_EQ(summary.useful_per_second, 40);
  EXPECT_DOUBLE_EQ(summary.seconds_per_item, 0.5);
}

TEST(LadderSummary, ComputesSecondsFromACostTable) {
  const LadderCell cell = cell_of("fast", {true, true}, 16, 0.5);
  const CostTable table({{{1, 1000, 1}, 1.2, 0.1, 0.1}, {{64, 1000, 64}, 2.0, 0.5, 0.2}});
  const std::int64_t prompts[] = {10, 900};
  const LadderSummary summary = summarise(cell, nullptr, &table, prompts);
  ASSERT_EQ(summary.computed_seconds.size(), 2u);
  EXPECT_DOUBLE_EQ(summary.computed_seconds[0], table.seconds({32, 74, 16}));
  EXPECT_DOUBLE_EQ(summary.computed_seconds[1], table.seconds({32, 964, 16}));
  EXPECT_DOUBLE_EQ(summary.computed_useful_per_second[1], 20 / table.seconds({32, 964, 16}));
}

TEST(LadderReport, HasATableForEachGroup) {
  LadderReport report;
  report.title = "A model";
  report.cells = {cell_of("baseline", {true, false}, 64, 4), cell_of("fast", {true, true}, 16, 1)};
  report.cells.push_back(cell_of("fast", {true, true}, 16, 1));
  report.cells.back().group.gen_length = 128;
  report.cells.push_back({.row = {"odd", "x", "y"}, .group = {64, 0, false}, .refused = "no"});
  report.costs = {{{1, 1000, 1}, 1.2, 0.1, 0.1}};
  report.cost_shape = "llada-8b int4";
  report.prompts = {896};
  ASSERT_EQ(groups_of(report).size(), 2u);
  const std::string text = ladder_markdown(report);
  EXPECT_NE(text.find("## gen 64, 0 shots, EOS stop off"), std::string::npos);
  EXPECT_NE(text.find("## gen 128, 0 shots, EOS stop off"), std::string::npos);
  EXPECT_NE(text.find("| fast | 100.0 |"), std::string::npos) << text;
  EXPECT_NE(text.find("+50.0 ["), std::string::npos) << text;
  EXPECT_NE(text.find("4.00x"), std::string::npos);
  EXPECT_NE(text.find("refused: no"), std::string::npos);
  EXPECT_NE(text.find("computed, llada-8b int4 at 896 + 64"), std::string::npos);
  // Every row has as many columns as its table's head.
  std::size_t columns = 0;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::string line = text.substr(begin, text.find('\n', begin) - begin);
    begin += line.size() + 1;
    const auto bars = static_cast<std::size_t>(std::count(line.begin(), line.end(), '|'));
    if (line.starts_with("| row")) columns = bars;
    if (line.starts_with("| fast")) {
      EXPECT_EQ(bars, columns);
    }
  }
}

class LadderOfNano : public testing::Test {
 protected:
  LadderOfNano() {
    const auto data = std::filesystem::path(testing::TempDir()) / "ladder_test.jsonl";
    std::ofstream(data) << R"({"question": "What is 2 + 3?", "answer": "#### 5"})"
                        << "\n"
                        << R"({"question": "What is 7 + 4?", "answer": "#### 11"})"
                        << "\n";
    eval::TaskOptions options;
    options.name = "jsonl";
    options.data = data;
    options.shots = 0;
    task_ = eval::load_task(options);
    run_.chat = true;
  }
  LadderCell run(const LadderRow& row, bool eos_stop, std::int32_t gen_length = 64) {
    run_.generate = ladder_options(row, gen_length, 32, eos_stop);
    return run_ladder_cell(engine_, task_, run_, {.row = row, .group = {gen_length, 0, eos_stop}});
  }
  Engine engine_ =
      Engine::load(std::string(FASTDLLM_SOURCE_DIR) + "/models/llada-nano", {.threads = 1});
  eval::Task task_;
  eval::RunOptions run_;
};

TEST_F(LadderOfNano, CountsForwardsAndTokens) {
  const LadderCell baseline = run(ladder_rows().front(), false);
  ASSERT_EQ(baseline.items.size(), 2u);
  for (const LadderItem& item : baseline.items) {
    EXPECT_EQ(item.error, "");
    EXPECT_EQ(item.forwards, 64);
    EXPECT_EQ(item.committed, 64);
    EXPECT_GT(item.useful, 0);
    EXPECT_LT(item.useful, 64);
    EXPECT_GT(item.seconds, 0);
  }
  std::int64_t forwards = 0;
  for (const auto& [key, count] : baseline.forwards.counts()) {
    forwards += count;
    EXPECT_TRUE(key.whole_prompt);
    EXPECT_EQ(key.rows.query, 64);
    EXPECT_EQ(key.rows.attended, 64);
    EXPECT_LE(key.rows.scored, 32);
  }
  EXPECT_EQ(forwards, 128);
  const LadderCell paper = run(find_ladder_rows({"dual+threshold"}).front(), false);
  EXPECT_LT(paper.items[0].forwards, 64);
  EXPECT_EQ(paper.items[0].committed, 64);
  const LadderCell stopped = run(find_ladder_rows({"dual+threshold"}).front(), true);
  EXPECT_LE(stopped.items[0].forwards, paper.items[0].forwards);
  EXPECT_EQ(stopped.items[0].useful, paper.items[0].useful);  // the text before the end is the same
  EXPECT_EQ(stopped.items[0].correct, paper.items[0].correct);
}

TEST_F(LadderOfNano, RefusedRowsAndLongItemsDoNotEndTheLadder) {
  const LadderCell refused = run({"odd", "x", "cache=dual block-length=0"}, false);
  EXPECT_NE(refused.refused.find("block_length"), std::string::npos) << refused.refused;
  EXPECT_TRUE(refused.items.empty());
  task_.items[0].question = std::string(4000, 'x');
  const LadderCell cell = run(find_ladder_rows({"dual+threshold"}).front(), true);
  ASSERT_EQ(cell.items.size(), 2u);
  EXPECT_FALSE(cell.items[0].error.empty());
  EXPECT_FALSE(cell.items[0].correct);
  EXPECT_TRUE(cell.items[1].error.empty());
}

}  // namespace
}  // namespace fdllm::bench
