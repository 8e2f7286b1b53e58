#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fdllm::bench {

struct ChartPoint {
  double x = 0, y = 0;
  std::string label = {};                     ///< beside the point, if any
  std::optional<double> low = {}, high = {};  ///< an interval of y
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
  bool curve = true;  ///< joined by a line, in the order given
  bool marks = false;
};

struct Chart {
  std::string title, x_label, y_label;
  bool log_x = false;
  std::optional<double> y_low = {}, y_high = {};  ///< default: what the points need
  std::vector<ChartSeries> series;
};

/// Charts beside each other, as one SVG. A series has the same colour and mark in all of them, by
/// its place; the legend is the first chart's. Points that are not finite, or not positive on a
/// logarithmic axis, are left out.
std::string draw_charts(std::span<const Chart> charts);

/// About `count` round numbers that cover [low, high].
std::vector<double> ticks(double low, double high, int count);
/// 1, 2 and 5 times powers of ten within [low, high].
std::vector<double> log_ticks(double low, double high);

}  // namespace fdllm::bench
