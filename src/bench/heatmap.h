#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fdllm::bench {

/// A square of values, such as the similarity of any two steps.
struct Heatmap {
  std::string title;
  std::vector<std::int32_t> steps;  ///< what row and column i stand for, ascending
  std::vector<double> values;       ///< [steps, steps], row-major; row 0 is drawn at the bottom
};

/// Panels in `columns` columns under one scale of colours from `low` to 1, as SVG. Values outside
/// are drawn as the nearest of the two, those that are not finite are left out.
std::string draw_heatmaps(std::span<const Heatmap> maps, int columns, double low,
                          const std::string& axis_label);

}  // namespace fdllm::bench
