#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/log.h"
#include "eval/run.h"
#include "eval/statistics.h"

namespace fdllm::eval {

/// Right answers among those that were scored.
struct Accuracy {
  std::int64_t correct = 0;
  std::int64_t scored = 0;

  double fraction() const;
  Interval interval() const { return wilson_interval(correct, scored); }
};

struct Summary {
  std::int64_t items = 0;
  std::int64_t failed = 0;  ///< ended in an error; counted as wrong
  Accuracy accuracy;
  std::optional<Accuracy> strict;
  std::int64_t refresh_forwards = 0, window_forwards = 0;
  std::int64_t useful_tokens = 0;
  double seconds = 0;  ///< wall clock of all sessions

  std::int64_t forwards() const { return refresh_forwards + window_forwards; }
  double useful_tokens_per_second() const;
  double forwards_per_token() const;
  double tokens_per_forward() const;
};

Summary summarize(std::span<const ItemRecord> records, double seconds);
Summary summarize(std::span<const LoggedItem> items);

/// Two logs of the same task and data, item by item.
struct LogComparison {
  PairedComparison correct;
  Summary first, second;         ///< of the items that both have
  std::int64_t only_in_one = 0;  ///< items that the other log lacks
};

/// Throws kInvalidArgument where the logs are of different questions, or share none.
LogComparison compare(const LogContent& first, const LogContent& second);

}  // namespace fdllm::eval
