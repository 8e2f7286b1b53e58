#pragma once
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/cost_table.h"

namespace fdllm::cli {

/// What `bench costs --json` wrote.
struct CostFile {
  std::string shape;  ///< "llada-8b int4"
  std::vector<bench::CostPoint> points;
};

nlohmann::ordered_json cost_points_json(const std::vector<bench::CostPoint>& points);
/// Throws kInvalidArgument naming `source` and the field.
std::vector<bench::CostPoint> parse_cost_points(const nlohmann::json& points,
                                                const std::string& source);
/// Throws kNotFound, kCorruptFile and kInvalidArgument.
CostFile read_cost_file(const std::string& path);

}  // namespace fdllm::cli
