#include "eval/summary.h"

#include <map>
#include <string>

#include "base/check.h"

namespace fdllm::eval {
namespace {

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

void count(bool correct, Accuracy& accuracy) {
  ++accuracy.scored;
  if (correct) ++accuracy.correct;
}

}  // namespace

double Accuracy::fraction() const {
  return ratio(static_cast<double>(correct), static_cast<double>(scored));
}

double Summary::useful_tokens_per_second() const {
  return ratio(static_cast<double>(useful_tokens), seconds);
}
double Summary::forwards_per_token() const {
  return ratio(static_cast<double>(forwards()), static_cast<double>(useful_tokens));
}
double Summary::tokens_per_forward() const {
  return ratio(static_cast<double>(useful_tokens), static_cast<double>(forwards()));
}

Summary summarize(std::span<const ItemRecord> records, double seconds) {
  Summary summary;
  summary.seconds = seconds;
  for (const ItemRecord& record : records) {
    ++summary.items;
    const bool failed = record.finish == FinishReason::kError;
    if (failed) ++summary.failed;
    count(record.correct, summary.accuracy);
    if (record.correct_strict) {
      if (!summary.strict) summary.strict.emplace();
      count(*record.correct_strict, *summary.strict);
    }
    summary.refresh_forwards += record.refresh_forwards;
    summary.window_forwards += record.window_forwards;
    summary.useful_tokens += record.useful_tokens;
  }
  // An item that failed has no strict reading, but is as wrong by it.
  if (summary.strict) summary.strict->scored = summary.accuracy.scored;
  return summary;
}

Summary summarize(std::span<const LoggedItem> items) {
  std::vector<ItemRecord> records;
  records.reserve(items.size());
  for (const LoggedItem& item : items) records.push_back(item.record);
  return summarize(records, logged_seconds(items));
}

LogComparison compare(const LogContent& first, const LogContent& second) {
  for (const char* field : {"task", "data_hash"}) {
    if (first.settings.contains(field) && second.settings.contains(field) &&
        first.settings[field] == second.settings[field]) {
      continue;
    }
    fail(ErrorCode::kInvalidArgument,
         "--compare: the logs answer different questions: '{}' is {} in the first and {} in the "
         "second",
         field, first.settings.value(field, nlohmann::ordered_json()).dump(),
         second.settings.value(field, nlohmann::ordered_json()).dump());
  }
  std::map<std::string, const LoggedItem*> others;
  for (const LoggedItem& item : second.items) others[item.record.id] = &item;
  LogComparison comparison;
  std::vector<LoggedItem> shared_first, shared_second;
  for (const LoggedItem& item : first.items) {
    const auto found = others.find(item.record.id);
    if (found == others.end()) {
      ++comparison.only_in_one;
      continue;
    }
    const LoggedItem& other = *found->second;
    PairedComparison& pairs = comparison.correct;
    ++pairs.items;
    const bool a = item.record.correct, b = other.record.correct;
    ++(a && b ? pairs.both : a ? pairs.only_first : b ? pairs.only_second : pairs.neither);
    shared_first.push_back(item);
    shared_second.push_back(other);
  }
  if (comparison.correct.items == 0) {
    fail(ErrorCode::kInvalidArgument, "--compare: the logs have no item in common");
  }
  comparison.only_in_one +=
      std::ssize(second.items) - static_cast<std::int64_t>(shared_second.size());
  comparison.first = summarize(shared_first);
  comparison.second = summarize(shared_second);
  return comparison;
}

}  // namespace fdllm::eval
