#include "bench/ladder_report.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace fdllm::bench {
namespace {

std::string signed_points(double fraction) {
  return fmt::format("{:+.1f}", 100 * fraction);
}

std::string ratio_text(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:.{}f}x", *ratio, *ratio < 10 ? 2 : 1) : std::string("-");
}

/// Four digits, or all before the point.
std::string seconds_text(double seconds) {
  return seconds >= 1e4 ? fmt::format("{:.0f}", seconds) : fmt::format("{:.4g}", seconds);
}

std::string table_row(const LadderCell& cell, const LadderSummary& summary, std::size_t computed) {
  if (!cell.refused.empty()) {
    return fmt::format("| {} | refused: {} |\n", cell.row.name, cell.refused);
  }
  std::string difference = "-";
  if (summary.paired) {
    const eval::Interval interval = summary.paired->interval();
    difference = fmt::format("{} [{}, {}]", signed_points(summary.paired->difference()),
                             signed_points(interval.low), signed_points(interval.high));
  }
  std::string text = fmt::format(
      "| {} | {:.1f} | {:.1f} to {:.1f} | {} | {:.3f} | {:.2f} | {:.1f} | {} | {} | {:.4g} |",
      cell.row.name, 100 * summary.accuracy, 100 * summary.interval.low,
      100 * summary.interval.high, difference, summary.forwards_per_useful,
      summary.tokens_per_forward, summary.useful_per_second, ratio_text(summary.speed_up),
      ratio_text(summary.time_speed_up), summary.seconds_per_item);
  for (std::size_t i = 0; i < computed; ++i) {
    text += i < summary.computed_seconds.size()
                ? fmt::format(" {} s, {:.3g} tok/s |", seconds_text(summary.computed_seconds[i]),
                              summary.computed_useful_per_second[i])
                : " - |";
  }
  return text + "\n";
}

/// Marks cells whose settings a reader can't tell from their names.
std::string settings_list(const LadderReport& report) {
  std::string text = "\nSettings of the rows:";
  std::vector<std::string> listed;
  for (const LadderCell& cell : report.cells) {
    if (std::find(listed.begin(), listed.end(), cell.row.name) != listed.end()) continue;
    text += fmt::format("{} {} `{}`", listed.empty() ? "" : ",", cell.row.name, cell.row.settings);
    listed.push_back(cell.row.name);
  }
  return text + ".\n";
}

}  // namespace

std::vector<LadderGroup> groups_of(const LadderReport& report) {
  std::vector<LadderGroup> groups;
  for (const LadderCell& cell : report.cells) {
    if (std::find(groups.begin(), groups.end(), cell.group) == groups.end()) {
      groups.push_back(cell.group);
    }
  }
  return groups;
}

std::string name_of(const LadderGroup& group) {
  return fmt::format("gen {}, {} shot{}, EOS stop {}", group.gen_length, group.shots,
                     group.shots == 1 ? "" : "s", group.eos_stop ? "on" : "off");
}

std::vector<std::pair<const LadderCell*, LadderSummary>> summaries_of(const LadderReport& report,
                                                                      const LadderGroup& group) {
  std::optional<CostTable> table;
  if (!report.costs.empty()) table.emplace(report.costs);
  const LadderCell* baseline = nullptr;
  for (const LadderCell& cell : report.cells) {
    if (cell.group == group && cell.row.name == kBaselineRow) baseline = &cell;
  }
  std::vector<std::pair<const LadderCell*, LadderSummary>> summaries;
  for (const LadderCell& cell : report.cells) {
    if (!(cell.group == group)) continue;
    summaries.emplace_back(&cell,
                           summarise(cell, baseline, table ? &*table : nullptr, report.prompts));
  }
  return summaries;
}

std::string ladder_markdown(const LadderReport& report) {
  const std::size_t computed = report.costs.empty() ? 0 : report.prompts.size();
  std::string text = fmt::format("# Ladder\n\n{}\n", report.title);
  for (const LadderGroup& group : groups_of(report)) {
    const auto summaries = summaries_of(report, group);
    std::int64_t items = 0, prompt_tokens = 0;
    for (const auto& [cell, summary] : summaries) {
      if (items > 0 || cell->items.empty()) continue;
      items = summary.items;
      for (const LadderItem& item : cell->items) prompt_tokens += item.prompt_tokens;
    }
    text += fmt::format("\n## {}\n\n{} items, prompts of {} tokens on average.\n\n", name_of(group),
                        items, items > 0 ? prompt_tokens / items : 0);
    text +=
        "| row | accuracy % | 95 % interval | difference, paired | forwards / useful token | "
        "tokens / forward | useful tokens/s | speed-up | time | s / sample |";
    for (std::size_t i = 0; i < computed; ++i) {
      text += fmt::format(" computed, {} at {} + {} |", report.cost_shape, report.prompts[i],
                          group.gen_length);
    }
    text += "\n|---|---|---|---|---|---|---|---|---|---|";
    for (std::size_t i = 0; i < computed; ++i) text += "---|";
    text += "\n";
    for (const auto& [cell, summary] : summaries) text += table_row(*cell, summary, computed);
  }
  if (!report.cells.empty()) text += settings_list(report);
  return text;
}

}  // namespace fdllm::bench
