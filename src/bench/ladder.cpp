#include "bench/ladder.h"

#include <algorithm>
#include <map>
#include <utility>

namespace fdllm::bench {
namespace {

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

/// A canvas that is filled to its end holds text after the stop string too.
std::string_view before_stop(std::string_view text, const std::vector<std::string>& stop) {
  std::size_t end = text.size();
  for (const std::string& part : stop) end = std::min(end, text.find(part));
  return text.substr(0, end);
}

struct Totals {
  double seconds = 0, forwards = 0, committed = 0, useful = 0;
};

Totals totals_of(const LadderCell& cell) {
  Totals totals;
  for (const LadderItem& item : cell.items) {
    if (!item.error.empty()) continue;
    totals.seconds += item.seconds;
    totals.forwards += static_cast<double>(item.forwards);
    totals.committed += static_cast<double>(item.committed);
    totals.useful += static_cast<double>(item.useful);
  }
  return totals;
}

}  // namespace

LadderCell run_ladder_cell(Engine& engine, const eval::Task& task, const eval::RunOptions& run,
                           LadderCell cell, const std::function<void(const LadderItem&)>& on_item) {
  const std::vector<std::string>& stop = run.chat ? task.chat_stop : task.stop;
  GenerateRequest request;
  request.options = run.generate;
  if (run.generate.eos_stop) {
    request.options.stop.insert(request.options.stop.end(), stop.begin(), stop.end());
  }
  // A prompt of one token: what is wrong then is wrong with the row, not with an item.
  request.prompt_ids = {0};
  try {
    engine.resolve(request);
  } catch (const Error& error) {
    cell.refused = error.what();
    return cell;
  }
  for (const eval::Item& item : task.items) {
    request.prompt_ids =
        engine.tokenize(eval::full_prompt(engine, task, item, run), AroundText::kUnlessThere);
    LadderItem& done = cell.items.emplace_back();
    done.id = item.id;
    done.prompt_tokens = std::ssize(request.prompt_ids);
    const auto on_step = [&](const StepEvent& event) {
      ++done.forwards;
      done.committed += std::ssize(event.committed);
      cell.forwards.add({event.query_rows, event.attended_rows, event.scored_rows},
                        event.query_begin, done.prompt_tokens);
      return true;
    };
    const GenerateResult result = std::move(engine.generate({&request, 1}, on_step).front());
    done.useful = std::ssize(result.ids);
    done.seconds = result.seconds;
    if (result.finish_reason == FinishReason::kError) {
      done.error = result.error->message;
    } else {
      done.correct = task.extract(item, before_stop(result.text, stop)).correct;
    }
    if (on_item) on_item(done);
  }
  return cell;
}

LadderSummary summarise(const LadderCell& cell, const LadderCell* baseline, const CostTable* table,
                        std::span<const std::int64_t> prompts) {
  LadderSummary summary;
  summary.items = std::ssize(cell.items);
  for (const LadderItem& item : cell.items) {
    summary.correct += item.correct;
    summary.errors += !item.error.empty();
  }
  const auto count = static_cast<double>(summary.items);
  summary.accuracy = ratio(static_cast<double>(summary.correct), count);
  summary.interval = eval::wilson_interval(summary.correct, summary.items);
  const Totals totals = totals_of(cell);
  const double answered = static_cast<double>(summary.items - summary.errors);
  summary.forwards_per_useful = ratio(totals.forwards, totals.useful);
  summary.tokens_per_forward = ratio(totals.committed, totals.forwards);
  summary.useful_per_second = ratio(totals.useful, totals.seconds);
  summary.seconds_per_item = ratio(totals.seconds, answered);
  if (table != nullptr && answered > 0) {
    for (const std::int64_t prompt : prompts) {
      const double seconds = cell.forwards.seconds(*table, prompt);
      summary.computed_seconds.push_back(seconds / answered);
      summary.computed_useful_per_second.push_back(ratio(totals.useful, seconds));
    }
  }
  if (baseline == nullptr || baseline == &cell || baseline->items.empty()) return summary;

  std::map<std::string, const LadderItem*> first;
  for (const LadderItem& item : baseline->items) first.emplace(item.id, &item);
  eval::PairedComparison paired;
  double baseline_seconds = 0, seconds = 0;
  for (const LadderItem& item : cell.items) {
    const auto found = first.find(item.id);
    if (found == first.end()) continue;
    const LadderItem& other = *found->second;
    ++paired.items;
    ++(other.correct ? (item.correct ? paired.both : paired.only_first)
                     : (item.correct ? paired.only_second : paired.neither));
    if (item.error.empty() && other.error.empty()) {
      baseline_seconds += other.seconds;
      seconds += item.seconds;
    }
  }
  if (paired.items > 0) summary.paired = paired;
  const Totals base = totals_of(*baseline);
  if (base.useful > 0 && totals.useful > 0) {
    summary.speed_up = ratio(summary.useful_per_second, ratio(base.useful, base.seconds));
  }
  if (seconds > 0) summary.time_speed_up = baseline_seconds / seconds;
  return summary;
}

}  // namespace fdllm::bench
