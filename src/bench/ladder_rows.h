#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/options.h"

namespace fdllm::bench {

/// A way to decode, as a row of the ladder's tables.
struct LadderRow {
  std::string name;
  std::string series;    ///< rows that belong together in a plot: "baseline", "cache", ...
  std::string settings;  ///< generate options: "cache=dual threshold=0.9"
};

/// The row that others are compared with.
inline constexpr std::string_view kBaselineRow = "baseline";

/// The paper's ladder and its baselines of a fixed number of tokens a step, then the presets.
std::vector<LadderRow> ladder_rows();
/// Rows by their names; "paper" stands for all but the presets, "presets" for these, "all" for
/// both. Throws kInvalidArgument naming those that exist.
std::vector<LadderRow> find_ladder_rows(const std::vector<std::string>& names);

/// A sweep: threshold (0.5 to 1), factor (0.5 to 2), block (4 to 256, prefix cache, one token a
/// forward), refresh (every 1, 2, 4, 8 blocks, once). Throws kInvalidArgument for another name.
std::vector<LadderRow> ladder_sweep(std::string_view name);
/// "threshold, factor, block, refresh".
std::string ladder_sweep_names();

/// A row of the user's: "NAME: option=value option=value", or without the name. Throws
/// kInvalidArgument for what no row can be.
LadderRow parse_ladder_row(std::string_view text);

/// The row's options. `block_length`: for rows that have none of their own; 0 leaves it to the
/// model (Dream without a cache has no blocks). Throws kInvalidArgument naming the row and the
/// option.
GenerateOptions ladder_options(const LadderRow& row, std::int32_t gen_length,
                               std::int32_t block_length, bool eos_stop);

}  // namespace fdllm::bench
