#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/ladder.h"

namespace fdllm::bench {

/// The cells of a ladder, and what its tables say about them.
struct LadderReport {
  std::string title;                  ///< model, task, machine: over the tables
  std::vector<LadderCell> cells;      ///< in the order of the tables
  std::vector<CostPoint> costs;       ///< empty: no cost table
  std::string cost_shape;             ///< what the cost table is of: "llada-8b int4"
  std::vector<std::int64_t> prompts;  ///< lengths to compute for
};

/// The groups in the order of their first cells.
std::vector<LadderGroup> groups_of(const LadderReport& report);
/// "gen 256, 5 shots, EOS stop off".
std::string name_of(const LadderGroup& group);

/// A cell with its figures; the baseline is the group's row of that name.
std::vector<std::pair<const LadderCell*, LadderSummary>> summaries_of(const LadderReport& report,
                                                                      const LadderGroup& group);

/// A table for each group.
std::string ladder_markdown(const LadderReport& report);
}  // namespace fdllm::bench
