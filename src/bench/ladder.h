#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

#include "bench/cost_table.h"
#include "bench/ladder_rows.h"
#include "eval/run.h"
#include "eval/statistics.h"
#include "eval/task.h"

namespace fdllm::bench {

/// What all cells with equal values share; each such group is a table.
struct LadderGroup {
  std::int32_t gen_length = 256;
  std::int32_t shots = 0;
  bool eos_stop = false;

  friend bool operator==(const LadderGroup&, const LadderGroup&) = default;
};

/// One answered question.
struct LadderItem {
  std::string id;
  bool correct = false;
  std::int64_t prompt_tokens = 0;
  std::int64_t forwards = 0;
  std::int64_t committed = 0;  ///< tokens that were unmasked
  std::int64_t useful = 0;     ///< of them before the end token
  double seconds = 0;          ///< from the request to its last token
  std::string error;           ///< such an item counts as wrong
};

/// A row at one place: measured, or refused by the model.
struct LadderCell {
  LadderRow row;
  LadderGroup group;
  std::vector<LadderItem> items = {};
  ForwardCounts forwards = {};  ///< of all items
  std::string refused = {};     ///< why the model does not take the row's options
};

/// Answers every item of the task, one after the other, as a user's machine does with one request.
/// `run.generate`: the row's options. `cell`: row and group, of which nothing was measured yet.
/// `on_item` may throw to end it.
LadderCell run_ladder_cell(Engine& engine, const eval::Task& task, const eval::RunOptions& run,
                           LadderCell cell,
                           const std::function<void(const LadderItem&)>& on_item = {});

/// A cell in figures.
struct LadderSummary {
  std::int64_t items = 0, correct = 0, errors = 0;
  double accuracy = 0;
  eval::Interval interval;  ///< 95 %, Wilson
  /// Against the baseline's answers to the same items; absent for the baseline, or without one.
  std::optional<eval::PairedComparison> paired;
  double forwards_per_useful = 0;
  double tokens_per_forward = 0;
  double useful_per_second = 0;
  double seconds_per_item = 0;
  std::optional<double> speed_up;       ///< ratio of useful tokens per second
  std::optional<double> time_speed_up;  ///< ratio of seconds, over the items that both answered
  /// Seconds per item that the cost table gives behind a prompt of each asked length, and useful
  /// tokens per second of that.
  std::vector<double> computed_seconds, computed_useful_per_second;
};

/// `baseline`: nullptr where there is none. `prompts`: lengths to compute for, where `table` is
/// given.
LadderSummary summarise(const LadderCell& cell, const LadderCell* baseline, const CostTable* table,
                        std::span<const std::int64_t> prompts);

}  // namespace fdllm::bench
