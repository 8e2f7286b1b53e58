#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "eval/task.h"

namespace fdllm::eval {

struct RunOptions {
  GenerateOptions generate;             ///< the task's stop strings are added to its own
  bool chat = false;                    ///< apply the model's chat template
  std::optional<ShotStyle> shot_style;  ///< default: the task's with a chat template, else kText
  /// Items that are decoded together; at most the engine's max_live_requests.
  std::int32_t concurrency = 1;
  std::set<std::string> skip;  ///< ids of items that need not run
};

/// One item that has been answered and scored.
struct ItemRecord {
  std::string id;
  std::uint64_t prompt_hash = 0;  ///< FNV-1a of the prompt's text
  std::int64_t prompt_tokens = 0;
  std::string text;       ///< the answer, cut before its end token or stop string
  std::string extracted;  ///< what was compared
  std::string expected;
  bool correct = false;
  std::optional<bool> correct_strict;  ///< where the task has a stricter reading
  std::int64_t refresh_forwards = 0;
  std::int64_t window_forwards = 0;
  // Work, as GenerateResult counts it.
  std::int64_t query_rows = 0, scored_rows = 0, attention_pairs = 0;
  std::int64_t useful_tokens = 0;  ///< before the end token or stop string
  double seconds = 0;              ///< from submission to the last token
  double clock = 0;                ///< seconds from the run's first submission to the last token
  FinishReason finish = FinishReason::kLength;
  std::string error;                    ///< where finish is kError; such an item counts as wrong
  std::optional<ErrorCode> error_code;  ///< what kind of error; absent in old logs
};

struct RunCallbacks {
  /// Called on the caller's thread for each item when it has been scored, in the order of
  /// finishing.
  std::function<void(const ItemRecord&)> on_item;
  /// Called on the caller's thread a few times a second while a forward of many rows runs: how far
  /// one of the items that wait for it is.
  std::function<void(const ForwardProgress&)> on_forward = {};
  /// Asked a few times a second; true ends the run, and what is under way is dropped.
  std::function<bool()> cancelled;
};

struct RunResult {
  std::vector<ItemRecord> records;  ///< of the items that were run, in the order of the task
  double seconds = 0;               ///< from the first submission to the last token of all
  bool cancelled = false;
};

/// Answers and scores all items of a task. Results do not depend on `concurrency`. Throws
/// kInvalidArgument for options that the model refuses (an item whose prompt is too long fails
/// alone).
RunResult run(Engine& engine, const Task& task, const RunOptions& options,
              const RunCallbacks& callbacks = {});

/// The prompt of one item as the run asks it.
std::string full_prompt(const Engine& engine, const Task& task, const Item& item,
                        const RunOptions& options);

}  // namespace fdllm::eval
