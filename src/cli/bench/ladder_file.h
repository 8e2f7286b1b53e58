#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/ladder_report.h"

namespace fdllm::cli {

/// A ladder with what is needed to go on with it.
struct LadderFile {
  /// What all cells depend on: model, data, machine. Cells of another are never mixed in.
  std::string identity;
  bench::LadderReport report;
  std::vector<std::string> options;  ///< of each cell: all its generate options as text
};

/// All generate options by name: "cache=dual threshold=0.9 ...".
std::string options_text(const GenerateOptions& options);

/// The whole ladder, summaries included.
nlohmann::ordered_json ladder_json(const LadderFile& file);
/// What ladder_json() gave. Throws kCorruptFile and kInvalidArgument naming `source` and field.
LadderFile parse_ladder(std::string_view text, const std::string& source);

}  // namespace fdllm::cli
