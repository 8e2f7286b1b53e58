#include "bench/cost_table.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/check.h"
#include "bench/step.h"

namespace fdllm::bench {
namespace {

/// More rows than a block has: a refresh.
constexpr std::int64_t kMostBlockRows = 256;
constexpr std::int64_t kRefreshScored = 32;
constexpr int kMostRepeats = 9;

void check_point(const CostPoint& point) {
  const auto& [rows, seconds, attention, head] = point;
  const bool rows_right = rows.query >= 1 && rows.attended >= rows.query && rows.scored >= 1 &&
                          rows.scored <= rows.query;
  const bool times_right = std::isfinite(seconds) && seconds > 0 && attention >= 0 && head >= 0 &&
                           attention + head <= seconds;
  if (rows_right && times_right) return;
  fail(ErrorCode::kInvalidArgument,
       "cost table: expected 1 <= scored <= query <= attended rows, and seconds of which attention "
       "and head are a part; found {} scored, {} query, {} attended, {} s, {} s, {} s",
       rows.scored, rows.query, rows.attended, seconds, attention, head);
}

}  // namespace

CostTable::CostTable(std::vector<CostPoint> points) : points_(std::move(points)) {
  if (points_.empty()) fail(ErrorCode::kInvalidArgument, "cost table: there is no forward in it");
  std::sort(points_.begin(), points_.end(),
            [](const CostPoint& a, const CostPoint& b) { return a.rows.query < b.rows.query; });
  std::map<std::int64_t, std::pair<double, int>> heads;
  for (const CostPoint& point : points_) {
    check_point(point);
    const auto query = static_cast<double>(point.rows.query);
    if (!layers_.empty() && layers_.back().first == query) {
      fail(ErrorCode::kInvalidArgument, "cost table: {} rows are in it twice", point.rows.query);
    }
    layers_.emplace_back(query, point.seconds - point.attention_seconds - point.head_seconds);
    attention_.emplace_back(query,
                            point.attention_seconds / static_cast<double>(point.rows.attended));
    auto& [sum, count] = heads[point.rows.scored];
    sum += point.head_seconds;
    ++count;
  }
  for (const auto& [scored, sum] : heads) {
    head_.emplace_back(static_cast<double>(scored), sum.first / sum.second);
  }
}

double CostTable::value(const Curve& curve, double rows) {
  if (rows <= curve.front().first) return curve.front().second;
  if (curve.size() == 1) return curve.front().second * rows / curve.front().first;
  auto after = std::lower_bound(curve.begin(), curve.end(), std::pair(rows, -1.0));
  if (after == curve.end()) --after;
  const auto& [x1, y1] = *std::prev(after);
  const auto& [x2, y2] = *after;
  return std::max(y1 + (y2 - y1) * (rows - x1) / (x2 - x1), 0.0);
}

double CostTable::seconds(const ForwardRows& rows) const {
  const auto query = static_cast<double>(rows.query);
  return value(layers_, query) + value(attention_, query) * static_cast<double>(rows.attended) +
         (rows.scored > 0 ? value(head_, static_cast<double>(rows.scored)) : 0);
}

std::vector<CostPoint> measure_costs(BenchModel& model, const CostSettings& settings) {
  const std::set<std::int64_t> numbers(settings.rows.begin(), settings.rows.end());
  if (numbers.empty() || numbers.size() != settings.rows.size()) {
    fail(ErrorCode::kInvalidArgument, "--rows: expected numbers that differ, at least one");
  }
  std::vector<CostPoint> points;
  double expected = 0;
  for (const std::int64_t rows : numbers) {
    if (settings.on_progress) {
      settings.on_progress({"numbers of rows", std::ssize(points), std::ssize(numbers),
                            fmt::format("{} rows", rows)});
    }
    StepSettings step{.rows = rows,
                      .attend = std::max(rows, settings.attend),
                      .score = rows <= kMostBlockRows ? rows : kRefreshScored,
                      .repeat = 1,
                      .warmup = 2 * expected < settings.seconds ? 1 : 0};
    StepReport report = run_step(model, step);
    const double repeats = settings.seconds / report.median_seconds - 2;
    if (repeats >= 2) {
      step.repeat = static_cast<int>(std::min(repeats, double{kMostRepeats}));
      report = run_step(model, step);
    }
    // At least twice as many rows follow as a rule; they take about twice as long.
    expected = 2 * report.median_seconds;
    points.push_back({{rows, report.attend, report.score},
                      report.median_seconds,
                      cost_of(report.costs, Operation::kAttention).seconds,
                      cost_of(report.costs, Operation::kHead).seconds});
  }
  return points;
}

// A refresh of the block's vicinity may begin at 0 too, but attends more than it runs.
void ForwardCounts::add(const ForwardRows& rows, std::int64_t query_begin, std::int64_t prompt) {
  const bool whole_prompt = query_begin == 0 && prompt > 0 && rows.query == rows.attended;
  ++counts_[{
      whole_prompt,
      {whole_prompt ? rows.query - prompt : rows.query, rows.attended - prompt, rows.scored}}];
}

double ForwardCounts::seconds(const CostTable& table, std::int64_t prompt) const {
  double sum = 0;
  for (const auto& [key, count] : counts_) {
    ForwardRows rows = key.rows;
    if (key.whole_prompt) rows.query += prompt;
    rows.attended += prompt;
    sum += static_cast<double>(count) * table.seconds(rows);
  }
  return sum;
}

}  // namespace fdllm::bench
