#pragma once
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "bench/model.h"
#include "bench/progress.h"

namespace fdllm::bench {

/// What one forward of one request runs: rows fed, K/V rows that each attends, rows for the head.
struct ForwardRows {
  std::int64_t query = 0, attended = 0, scored = 0;
};

/// A forward that was measured. Medians.
struct CostPoint {
  ForwardRows rows;
  double seconds = 0;            ///< of the whole forward
  double attention_seconds = 0;  ///< thereof in attention
  double head_seconds = 0;       ///< thereof in the head
};

/// Computes how long a forward takes from a few that were measured. Attention is taken as
/// proportional to the attended rows; all else but the head depends on the query rows, the head on
/// the scored ones. Between two measured numbers of rows it is linear; fewer rows than the fewest
/// cost as much (the weights must be read), beyond the most the last slope goes on.
class CostTable {
 public:
  /// Throws kInvalidArgument where there is no point, two have the same query rows, or a number is
  /// not finite, negative, or more than its whole.
  explicit CostTable(std::vector<CostPoint> points);

  double seconds(const ForwardRows& rows) const;
  const std::vector<CostPoint>& points() const { return points_; }

 private:
  using Curve = std::vector<std::pair<double, double>>;  ///< ascending rows -> seconds
  static double value(const Curve& curve, double rows);

  std::vector<CostPoint> points_;
  Curve layers_, attention_, head_;  ///< attention_: seconds for each attended row
};

struct CostSettings {
  std::vector<std::int64_t> rows = {1, 4, 8, 16, 32, 64, 128, 256, 512, 1152, 2424};
  std::int64_t attend = 1152;  ///< or as many as there are rows
  double seconds = 5;  ///< that the forwards of one number of rows may take; always one runs
  BenchListener on_progress = {};
};

/// Measures a forward of each number of rows. Up to 256 rows all are scored, as in a block; more
/// rows are a refresh, which scores 32. Throws kInvalidArgument for no or equal numbers of rows.
std::vector<CostPoint> measure_costs(BenchModel& model, const CostSettings& settings);

/// Forwards by what they ran, whatever the length of the prompt was.
class ForwardCounts {
 public:
  struct Key {
    bool whole_prompt = false;  ///< the prompt's rows were fed too, all of them
    ForwardRows rows;           ///< without the prompt's, of query only where whole_prompt
    auto tie() const { return std::tuple(whole_prompt, rows.query, rows.attended, rows.scored); }
    bool operator<(const Key& other) const { return tie() < other.tie(); }
  };

  /// A forward over a canvas whose prompt has `prompt` tokens and whose fed rows begin at
  /// `query_begin`.
  void add(const ForwardRows& rows, std::int64_t query_begin, std::int64_t prompt);
  void add(const Key& key, std::int64_t count) { counts_[key] += count; }
  const std::map<Key, std::int64_t>& counts() const { return counts_; }

  /// Seconds of all of them behind a prompt of `prompt` tokens: the answers' rows are those that
  /// ran, the prompt's are replaced.
  double seconds(const CostTable& table, std::int64_t prompt) const;

 private:
  std::map<Key, std::int64_t> counts_;
};

}  // namespace fdllm::bench
